"""Which variables of the daemon's environment a job gets: those that are known to matter, and no secrets.

What is not on the list is dropped; its name is written down in `launch.json`, its value nowhere. Who needs more names
it in the daemon's own environment: TUNEDECK_PASS_ENV=HF_TOKEN,WANDB_API_KEY. A recipe of a `command` sets its own.
"""

import re
from collections.abc import Mapping

PASSED = frozenset(
    [
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "LANG",
        "LANGUAGE",
        "TZ",
        "TMPDIR",
        "TEMP",
        "TMP",
        "PWD",
        "VIRTUAL_ENV",
        "CONDA_PREFIX",
        "CONDA_DEFAULT_ENV",
        "PYTHONPATH",
        "PYTHONHOME",
        "PYTHONHASHSEED",
        "PYTHONUTF8",
        "PYTHONIOENCODING",
        "LD_LIBRARY_PATH",
        "LD_PRELOAD",
        "LIBRARY_PATH",
        "CPATH",
        "CC",
        "CXX",
        "MAX_JOBS",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "HOSTNAME",
        "NO_COLOR",
        "http_proxy",
        "https_proxy",
        "no_proxy",
        "all_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "ALL_PROXY",
        "TUNEDECK_HOME",
        "TUNEDECK_FAULT",
        "DBUS_SESSION_BUS_ADDRESS",
    ]
)
PREFIXES = (
    "LC_", "XDG_", "OMP_", "MKL_", "OPENBLAS_", "KMP_", "GOMP_", "CUDA_", "CUDNN_", "CUBLAS_", "NVIDIA_", "NCCL_", "GLOO_",
    "ROCM_", "HIP_", "TORCH_", "TORCHINDUCTOR_", "PYTORCH_", "TRITON_", "HF_", "HUGGINGFACE_", "TRANSFORMERS_", "TOKENIZERS_",
    "DATASETS_", "ACCELERATE_", "TRL_", "PEFT_", "VLLM_", "FLASHINFER_", "WANDB_", "TENSORBOARD_", "TRACKIO_", "MLFLOW_",
)  # fmt: skip

_SECRET_NAME = re.compile(
    r"TOKEN|SECRET|PASS(WORD|WD|PHRASE)?(_|$)|KEY|CREDENTIAL|AUTH|COOKIE|PRIVATE", re.IGNORECASE
)
_SECRET_VALUE = re.compile(r"://[^/\s@]*:[^/\s@]+@")
"""A password inside an address, as proxies have them."""


def passed_on(environ: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """What a job gets, and the names of what it does not get, in order."""
    asked = {name.strip() for name in environ.get("TUNEDECK_PASS_ENV", "").split(",")}
    kept = {name: value for name, value in environ.items() if name in asked or _is_harmless(name, value)}
    return kept, sorted(name for name in environ if name not in kept and name != "TUNEDECK_PASS_ENV")


def _is_harmless(name: str, value: str) -> bool:
    known = name in PASSED or name.startswith(PREFIXES)
    # The tokenizers' switch is the one name on the list that only sounds like a secret.
    secret = _SECRET_NAME.search(name.removeprefix("TOKENIZERS_")) or _SECRET_VALUE.search(value)
    return known and not secret
