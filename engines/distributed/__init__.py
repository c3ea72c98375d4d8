"""Several processes that run one job: who starts them, how they agree, and how their job ends."""
