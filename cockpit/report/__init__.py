"""What an experiment has shown: accuracy against budget, format apart from correctness, and verdicts."""
