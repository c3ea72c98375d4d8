"""The blocks that recipes are made of: frozen pydantic models that refuse unknown keys.

The docstring under a field is its help: the JSON schema, `tunedeck schema` and the cockpit's form all show it.
"""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from engines.recipe.gym_names import GymTaskName
from engines.recipe.merging import merged
from engines.recipe.sizes import Size
from engines.recipe.times import Length, time_of

EngineName = Literal[
    "sft", "grpo", "mtl_ppo", "traces", "tpt", "step_jepa", "steering", "eval", "command", "pretrain"
]  # fmt: skip
"""The kinds of job. An engine exists when its name stands here and `engines/<name>.py` has `Recipe` and `run`."""

TaskName = Literal["pocket-math", "gsm8k", "micro6"]
SuiteTaskName = Literal[
    "aime", "math500", "amc", "humaneval", "mbpp", "livecodebench", "gpqa_diamond", "supergpqa", "arcagi1", "zebra",
    "ordering", "codeio", "cruxeval_i", "cruxeval_o", "finqa", "hitab", "multihier", "ifeval", "livebench_reasoning",
    "livebench_language", "livebench_data_analysis", "micro_math", "micro_code", "micro_science", "micro_logic",
    "micro_simulation", "micro_tabular", GymTaskName,
]  # fmt: skip
SuitePreset = Literal["guru13", "guru17", "guru19", "all21", "micro6"]
Split = Literal["train", "dev", "test"]
Device = Literal["auto", "cpu", "cuda"]


class Block(BaseModel):
    """A part of a recipe: frozen, typed, and strict about its keys."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        populate_by_name=True,
        allow_inf_nan=False,
    )

    data_files: ClassVar[tuple[str, ...]] = ()
    """Fields that name files of data, whose content belongs to what was submitted: see `data_files.py`."""


class LoraBlock(Block):
    """A LoRA adapter, in peft's own spelling."""

    r: int = Field(8, ge=1, le=1024)
    """Rank of the update matrices."""
    lora_alpha: int = Field(16, ge=1)
    """Scale: the update is multiplied by `lora_alpha / r`."""
    lora_dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout on the adapter's input."""
    target_modules: str | list[str] = "all-linear"
    """Which linear layers get an adapter: a list of names, or `all-linear`."""


class ModelBlock(Block):
    """The model to start from: a base by name, or the output of another job."""

    takes: ClassVar[str] = "model"

    base: str | None = None
    """`pocket` (the model that ships with Tunedeck), a Hugging Face id, or a local directory."""
    from_: str | None = Field(None, alias="from")
    """Name of the job whose trained model to start from; takes precedence over `base`."""
    revision: str | None = None
    """Branch, tag or commit of a Hugging Face id."""
    dtype: Literal["float32", "bfloat16", "auto"] = "float32"
    """Precision of the weights. Adapters are always trained in float32."""
    attn_implementation: Literal["sdpa", "eager", "flash_attention_2"] = "sdpa"
    """Attention kernel."""
    chat_template: str | None = None
    """Jinja file that replaces the tokenizer's chat template, or `plain`: the turns as they are, for models that were
    trained on plain text. A base model without one gets ChatML."""

    @model_validator(mode="after")
    def _needs_a_source(self) -> "ModelBlock":
        if self.base is None and self.from_ is None:
            raise ValueError("give `base` (a model name or directory) or `from` (a job)")
        return self


class SteeringBlock(Block):
    """A direction that is added to the model's activations while it generates: a file, or what a search found."""

    takes: ClassVar[str] = "vector"
    data_files = ("path",)

    path: str | None = None
    """File that a steering job left: `vector.safetensors`, with layers, strength and places in it."""
    from_: str | None = Field(None, alias="from")
    """Name of the job whose vector to take; takes precedence over `path`."""

    @model_validator(mode="after")
    def _needs_a_source(self) -> "SteeringBlock":
        if self.path is None and self.from_ is None:
            raise ValueError("give a `path`, or `from` (a steering job)")
        return self


class SteerableModelBlock(ModelBlock):
    """A model that only generates, and that may be steered while it does."""

    steering: SteeringBlock | None = None
    """What to steer it with; only with `generation.backend: hf`."""


class TracesBlock(Block):
    """Solutions to train on: a file of them, or what another job left."""

    takes: ClassVar[str] = "traces"
    data_files = ("path",)

    path: str | None = None
    """JSONL file of {"question", "answer": "<reasoning>\\n\\n#### 42"}, or of a teacher's replies: {"question",
    "ground_truth", "deepseek_response"}."""
    from_: str | None = Field(None, alias="from")
    """Name of the job whose traces to take; takes precedence over `path`."""

    @model_validator(mode="after")
    def _needs_a_source(self) -> "TracesBlock":
        if self.path is None and self.from_ is None:
            raise ValueError("give a `path`, or `from` (a job)")
        return self


def _traces_from_path(value: object) -> object:
    return {"path": value} if isinstance(value, str) else value


Traces = Annotated[TracesBlock, BeforeValidator(_traces_from_path, json_schema_input_type=str | TracesBlock)]
"""A traces block, or just the path of a file."""


class TaskBlock(Block):
    """A dataset together with its grading."""

    data_files = ("path",)

    name: TaskName
    """Which task."""
    path: str | None = None
    """Local copy of the data: a JSONL or Parquet file, or a directory with one per split. Default: the Hugging Face hub."""
    dev_examples: int = Field(256, ge=1)
    """Size of the development set, carved out of the official training split by a stable hash of the question."""


def _task_from_name(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


Task = Annotated[TaskBlock, BeforeValidator(_task_from_name)]
"""A task block, or just its name."""


class SuiteBlock(Block):
    """Many tasks at once, by domain: the questions, where they come from, and what their grading needs."""

    data_files = ("paths",)

    tasks: SuitePreset | list[SuiteTaskName]
    """A published selection (`guru13`, `guru17`, `guru19`, `all21`), `micro6` for tiny models, or a list of tasks.

    Those named `gym_...` are reasoning-gym's and need `pip install 'tunedeck[gym]'`."""
    source: Literal["made", "public"] = "made"
    """`made`: questions of the same form, made here without a download; `public`: the datasets themselves."""
    paths: dict[SuiteTaskName, str] = {}
    """Local copies of public datasets, in their own format (JSONL, JSON, Parquet), by task; the others: from the hub."""
    examples: int | None = Field(None, ge=1)
    """At most so many questions of each task. Null: 100 made ones, or all public ones."""
    samples: Literal["published"] | Annotated[int, Field(ge=1)] = 1
    """Answers to each question: the k of avg@k. `published`: as many as the sources take, 4 or 32 for small tasks."""
    system: str = ""
    """System message before every question. Empty: none; the questions themselves say how to answer."""
    require_sandbox: Literal["L0", "L1", "L2"] | None = None
    """Refuse to run programs that models wrote behind less than this; `tunedeck doctor --sandbox` shows what there is."""

    @model_validator(mode="after")
    def _has_different_tasks(self) -> "SuiteBlock":
        if isinstance(self.tasks, list) and not 0 < len(self.tasks) == len(set(self.tasks)):
            raise ValueError("`tasks` needs one task at least, and none of them twice")
        if self.source == "made" and self.paths:
            raise ValueError("`paths` needs `source: public`")
        unused = [name for name in self.paths if isinstance(self.tasks, list) and name not in self.tasks]
        if unused:
            raise ValueError(f"`paths` has {', '.join(unused)}, which is not among `tasks`")
        return self


class SamplingBlock(Block):
    """How completions are generated. `temperature: 0` is greedy."""

    temperature: float = Field(0.0, ge=0, le=10)
    """Softmax temperature; 0 means greedy decoding."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Nucleus sampling: keep the smallest set of tokens with this total probability."""
    top_k: int = Field(0, ge=0)
    """Keep only this many most likely tokens; 0 keeps all."""
    max_new_tokens: int = Field(256, ge=1, le=1 << 20)
    """Longest completion, in tokens."""
    num_samples: int = Field(1, ge=1)
    """Completions for each prompt; more than one needs `temperature` above 0."""

    @model_validator(mode="after")
    def _greedy_has_one_sample(self) -> "SamplingBlock":
        if self.temperature == 0 and self.num_samples > 1:
            raise ValueError(
                "`num_samples` above 1 needs `temperature` above 0: greedy samples are all the same"
            )
        return self


class GenerationBlock(Block):
    """What generates completions: the back end and how much it takes on at a time."""

    backend: Literal["hf", "hf-continuous", "vllm"] = "hf"
    """`hf`: our own batches on transformers; `hf-continuous`: its continuous batching; `vllm`: needs the vllm extra."""
    batch_size: int = Field(64, ge=1)
    """Completions that are generated at a time; halved when memory runs out. vLLM decides for itself."""
    cache: bool = True
    """Take completions that were generated before, by any job, for the same weights, prompt, sampling and seed."""
    gpu_memory_utilization: float = Field(0.85, gt=0, le=1)
    """Share of the GPU's memory that vLLM takes."""


class ResourcesBlock(Block):
    """What the job occupies while it runs."""

    gpus: Annotated[int, Field(ge=0, le=1024)] | Literal["auto"] = "auto"
    """GPUs to reserve. `auto` takes one where the machine has any, and a CPU slot elsewhere; 0 is a CPU job."""
    gpu_memory: Size | None = None
    """Share a card with other jobs: so much of each GPU's memory, like `20GiB`. Null: whole cards."""
    slurm: str | None = None
    """Run it through Slurm, with this profile of `config.yaml`; `gpus` are those of one node there. Null: this machine."""
    time: Length | None = None
    """Longest that Slurm lets one attempt run, like `4h`; the next goes on from the checkpoint. Null: the profile's."""
    processes: int | None = Field(None, ge=1, le=1024)
    """Processes that share the work of one job. Null: one for each GPU, one on the CPU. A CPU job takes one slot, however
    many of them share its threads."""

    @model_validator(mode="after")
    def _shares_a_card(self) -> "ResourcesBlock":
        if self.gpu_memory is not None and self.gpus == 0:
            raise ValueError("`gpu_memory` needs `gpus: 1` or more")
        return self

    @model_validator(mode="after")
    def _is_slurms(self) -> "ResourcesBlock":
        if self.slurm is not None and self.gpu_memory is not None:
            raise ValueError(
                "`gpu_memory` shares the cards of this machine; with `slurm` a job has whole ones"
            )
        if self.slurm is None and self.time is not None:
            raise ValueError("`time` is Slurm's limit and needs `slurm`; on this machine there is `timeout`")
        return self

    @model_validator(mode="after")
    def _gives_each_process_a_device(self) -> "ResourcesBlock":
        if self.processes is None or self.gpus == 0:
            return self
        if self.gpus == "auto" and self.processes > 1:
            raise ValueError(
                f"`processes: {self.processes}` needs `gpus: {self.processes}`, or `gpus: 0` for a job on the CPU; `auto` "
                "is one GPU at most"
            )
        if self.gpus != "auto" and self.processes != self.gpus:
            raise ValueError(
                f"`processes: {self.processes}` with `gpus: {self.gpus}`: each process computes on one GPU, so that both "
                "numbers must be the same; leave `processes` out"
            )
        return self

    @property
    def process_count(self) -> int:
        """Processes of a job whose engine can share its work."""
        by_gpus = self.gpus if isinstance(self.gpus, int) else 1
        return self.processes or max(1, by_gpus)


def _as_list(value: object) -> object:
    return [value] if isinstance(value, dict) else value


class RetryBlock(Block):
    """When a job that ended badly is queued again. It resumes from its last checkpoint."""

    times: int = Field(0, ge=0, le=100)
    """How many more attempts."""
    on: list[Literal["failed", "lost", "timeout"]] = ["failed", "lost"]
    """Which endings are retried: a failing exit code, a vanished process, the time limit."""
    exit_codes: list[Annotated[int, Field(ge=-64, le=255)]] | None = None
    """Of the failures, only those with one of these exit codes; a signal as the shell has it, 137 for SIGKILL."""
    delay: float = Field(0.0, ge=0, le=1e6)
    """Seconds to wait before the first retry."""
    backoff: float = Field(2.0, ge=1, le=100)
    """Each further retry waits so many times as long as the one before."""
    longest_delay: float = Field(3600.0, ge=0, le=1e6)
    """But never longer than this, in seconds."""
    on_oom: Annotated[list[dict[str, Any]], BeforeValidator(_as_list)] = []
    """What to change in this recipe when memory ran out, such as `{per_device_train_batch_size: 2}`; a list is gone through
    from one lack of memory to the next. These attempts are not counted in `times`."""


FIXED_AT_SUBMISSION = {"engine", "resources", "priority", "group", "at", "retry"}
"""What the queue has gone by; a later attempt cannot change it."""


class BaseRecipe(Block):
    """What every job's recipe has, whatever its engine."""

    outputs: ClassVar[tuple[str, ...]] = ()
    """What other jobs can take from this engine with `{from: job}`: `model`, `traces`, `vector`."""
    parallelism: ClassVar[Literal["one", "shared", "own"]] = "one"
    """Whether a job of this engine is one process, may be shared by several, or starts what it likes by itself."""

    seed: int = Field(42, ge=0, lt=2**31)
    """Seed of everything random in the job."""
    device: Device = "auto"
    """Where tensors live. `auto` uses the GPU that the job was given, else the CPU."""
    resources: ResourcesBlock = ResourcesBlock()
    """What the job occupies while it runs."""
    priority: int = Field(0, ge=-1000, le=1000)
    """Higher runs first among the jobs that are ready."""
    retry: RetryBlock = RetryBlock()
    """When to try again."""
    timeout: float | None = Field(None, gt=0, le=1e9)
    """Seconds after which the job is stopped (at a checkpoint, where the engine has them)."""
    group: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    """Group of jobs that share slots: `tunedeck group NAME --slots 2`."""
    at: str | None = None
    """When it may start: `2026-12-24T18:00`, `22:30` (the next time that it is), or `+2h`."""

    data_may_change: bool = False
    """Run even when data files that this recipe names are not what they were when it was submitted."""

    @field_validator("at")
    @classmethod
    def _is_a_time(cls, value: str | None) -> str | None:
        if value is not None:
            time_of(value, 0.0)
        return value

    @model_validator(mode="after")
    def _has_as_many_processes_as_it_can_use(self) -> Self:
        resources = self.resources
        if self.parallelism == "own" and resources.processes is not None:
            raise ValueError("`resources.processes`: a program of your own starts its processes itself")
        if self.parallelism == "one" and resources.process_count > 1:
            name = "processes" if resources.processes else "gpus"
            raise ValueError(
                f"`resources.{name}: {resources.process_count}`: this engine is one process on one GPU; set "
                "`resources: {gpus: 1}`, or `gpus: 0` for the CPU"
            )
        return self

    @model_validator(mode="after")
    def _has_fallbacks_that_work(self) -> Self:
        """Tried now, and not in the night when the first attempt has run out of memory."""
        if not self.retry.on_oom:
            return self
        body = self.model_dump(mode="json", by_alias=True)
        for number, step in enumerate(self.retry.on_oom, start=1):
            if fixed := sorted(step.keys() & FIXED_AT_SUBMISSION):
                raise ValueError(
                    f"`retry.on_oom`, step {number}: `{fixed[0]}` cannot be changed any more then"
                )
            body = merged(body, step)
            try:
                type(self).model_validate(merged(body, {"retry": {"on_oom": []}}))
            except ValidationError as error:
                wrong = error.errors(include_url=False)[0]
                where = ".".join(map(str, wrong["loc"]))
                raise ValueError(f"`retry.on_oom`, step {number}: {where}: {wrong['msg']}") from error
        return self

    def remarks(self) -> list[str]:
        """What the recipe asks for and will not get, though it runs; `tunedeck check` and the run itself say it."""
        return []
