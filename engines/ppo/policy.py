"""Actor, critic and reference: on one frozen base with two adapters, or as models of their own.

With LoRA the actor is the adapter `default`, the critic the adapter `value` with a linear head, and the reference the base
without either: three models in the memory of one. With all weights trained, the critic is a second copy of the model.
"""

import copy
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from peft import LoraConfig, get_peft_model_state_dict, set_peft_model_state_dict
from torch import Tensor, nn

from engines.ppo.batches import Batch
from engines.ppo.losses import entropies, token_logps

CriticMode = Literal["adapter", "separate", "shared"]

POLICY = "default"
"""Peft's own name, so that the adapter is saved where everybody looks for it."""
VALUE = "value"
REFERENCE = "reference"

Named = list[tuple[str, nn.Parameter]]


class ActorCritic:
    """The models of a run, and the parameters that each optimizer has."""

    def __init__(self, model: Any, *, critic: CriticMode | None, heads: int, reference: bool) -> None:
        """`model` is loaded for training. `critic` None: the advantages need none. `heads`: value heads, one a unit or one."""
        self.model = without_dropout(model)
        self.adapters = hasattr(model, "peft_config")
        self.policy: Named = [(name, one) for name, one in model.named_parameters() if one.requires_grad]
        self.critic = critic
        self._backbone: Any = (model.get_base_model() if self.adapters else model).base_model
        """What the critic reads hidden states from."""
        self._reference = self._keep_reference() if reference else None
        self.has_reference = reference
        self.head = nn.Linear(model.config.get_text_config().hidden_size, heads).to(model.device)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.value: Named = self._make_critic() if critic else []
        self.act()

    def logps(
        self, batch: Batch, temperature: float, *, with_entropy: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Log-probability and entropy of each response token (rows, tokens) under the policy."""
        self._activate(POLICY)
        return self._score(self.model, batch, temperature, with_entropy)

    @torch.no_grad()
    def reference_logps(self, batch: Batch, temperature: float) -> Tensor:
        """Of the model as it was before training (rows, tokens)."""
        with self._as_reference() as model:
            return self._score(model, batch, temperature, False)[0]

    def values(self, batch: Batch, units: Tensor) -> Tensor:
        """What the critic expects of each row from just before each of its response tokens on (rows, tokens), in float32."""
        self._activate(VALUE if self.critic == "adapter" else POLICY)
        hidden = self._backbone(**_inputs(self._backbone, batch), use_cache=False).last_hidden_state
        found: Tensor = self.head(hidden[:, -(batch.width + 1) : -1].float())
        if found.shape[-1] == 1:
            return found.squeeze(-1)
        return found.gather(-1, units.view(-1, 1, 1).expand(-1, batch.width, 1)).squeeze(-1)

    def act(self) -> Any:
        """The model as the policy, for whoever generates with it."""
        self._activate(POLICY)
        return self.model

    def expect(self, reward: float) -> None:
        """Before anything is learnt, the critic expects this."""
        nn.init.constant_(self.head.bias, reward)

    def save_pretrained(self, directory: Any) -> None:
        """So that whoever loads models finds the policy, and nothing else."""
        chosen = {"selected_adapters": [POLICY]} if self.adapters else {}
        self.act().save_pretrained(directory, **chosen)

    def tensors(self) -> dict[str, Tensor]:
        """Everything that training changes, by name."""
        policy = {f"policy.{name}": one.detach() for name, one in self.policy}
        return policy | {f"value.{name}": one.detach() for name, one in self.value}

    @torch.no_grad()
    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Put back what `tensors` gave."""
        for name, one in self.tensors().items():
            one.copy_(tensors[name])

    def _make_critic(self) -> Named:
        head: Named = [(f"head.{name}", one) for name, one in self.head.named_parameters()]
        if self.critic == "adapter":
            self._add_adapter(VALUE)
            added = [(name, one) for name, one in self.model.named_parameters() if f".{VALUE}." in name]
            return [*added, *head]
        if self.critic == "separate":
            base = self.model.get_base_model() if self.adapters else self.model
            self._backbone = (_plain_copy(base) if self.adapters else copy.deepcopy(base)).base_model
            self._backbone.requires_grad_(True)
            return [*self._backbone.named_parameters(), *head]
        return head

    def _keep_reference(self) -> Any:
        if not self.adapters:
            return copy.deepcopy(self.model).requires_grad_(False).eval()
        # A new adapter changes nothing yet, so the base is the reference; one that was trained before is itself.
        state = get_peft_model_state_dict(self.model, adapter_name=POLICY)
        if all(not tensor.any() for name, tensor in state.items() if "lora_B" in name):
            return None
        self._add_adapter(REFERENCE)
        set_peft_model_state_dict(self.model, state, adapter_name=REFERENCE)
        return REFERENCE

    @contextmanager
    def _as_reference(self) -> Iterator[Any]:
        if self._reference is None:
            with self.model.disable_adapter():
                yield self.model
        elif self._reference == REFERENCE:
            self._activate(REFERENCE)
            yield self.model
        else:
            yield self._reference
        self._activate(POLICY)

    def _add_adapter(self, name: str) -> None:
        shape = self.model.peft_config[POLICY]
        config = LoraConfig(
            r=shape.r,
            lora_alpha=shape.lora_alpha,
            target_modules=shape.target_modules,
            task_type=shape.task_type,
        )
        self.model.add_adapter(name, config)
        self.model.to(self.model.device)

    def _activate(self, name: str) -> None:
        """Peft freezes the adapters that it switches off, which would drop them from the next backward pass for good."""
        if self.adapters:
            self.model.set_adapter(name)
            for _, one in [*self.policy, *getattr(self, "value", [])]:
                one.requires_grad_(True)

    def _score(
        self, model: Any, batch: Batch, temperature: float, with_entropy: bool
    ) -> tuple[Tensor, Tensor | None]:
        inner = model.get_base_model() if hasattr(model, "peft_config") else model
        kept = {"logits_to_keep": batch.width + 1} if _takes(inner, "logits_to_keep") else {}
        logits = model(**_inputs(inner, batch), **kept, use_cache=False).logits
        logits = logits[:, -(batch.width + 1) : -1].float() / temperature
        entropy = entropies(logits) if with_entropy else None
        return token_logps(logits, batch.responses), entropy


def without_dropout(model: Any) -> Any:
    """The model with every dropout at 0: a policy's ratio to itself must be 1, in training mode too."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        for name in ("attention_dropout", "dropout", "hidden_dropout"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)
    return model


def _plain_copy(base: Any) -> Any:
    """The base's weights in a model without adapters."""
    fresh = type(base)(copy.deepcopy(base.config)).to(device=base.device, dtype=base.dtype)
    state = {
        name.replace(".base_layer.", "."): tensor
        for name, tensor in base.state_dict().items()
        if ".lora_" not in name
    }
    fresh.load_state_dict(state)
    return without_dropout(fresh)


def _inputs(model: Any, batch: Batch) -> dict[str, Tensor]:
    inputs = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
    return inputs | ({"position_ids": batch.position_ids} if _takes(model, "position_ids") else {})


def _takes(model: Any, name: str) -> bool:
    return name in inspect.signature(model.forward).parameters
