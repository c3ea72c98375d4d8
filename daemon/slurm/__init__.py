"""Jobs that run through Slurm, beside those of this machine. Start reading at `cluster.py`.

The daemon on the login node hands an attempt to `sbatch` and asks `squeue` about all of them now and then; the run
directory on the shared file system carries everything else. On the node runs the same supervisor as here.
"""
