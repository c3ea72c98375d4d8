"""GPUs: what the driver says (`cards`, `nvml`), whose they are (`owners`, `survey`), and how they fare (`watch`)."""
