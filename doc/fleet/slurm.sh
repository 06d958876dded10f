#!/bin/bash
# A run over the nodes of an allocation: sbatch slurm.sh OPTIONS-OF-OMRIG-RUN
#SBATCH --job-name=omrig
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --time=00:30:00
set -eu

scheduler="tcp://$(hostname):8786"
export OMRIG_SPOOL="${OMRIG_SPOOL:-/tmp/omrig-$SLURM_JOB_ID}"

dask scheduler --port 8786 --no-dashboard &
srun --ntasks="$SLURM_NNODES" --ntasks-per-node=1 \
    dask worker "$scheduler" --no-nanny --no-dashboard --memory-limit 0 --death-timeout 60 \
    --nthreads "$SLURM_CPUS_ON_NODE" &
# The job's end takes both along; by hand it is this.
trap 'kill $(jobs -p)' EXIT

python - "$scheduler" "$SLURM_NNODES" <<'END'
import sys
from distributed import Client

Client(sys.argv[1], timeout=60).wait_for_workers(int(sys.argv[2]), timeout=120)
END
omrig fleet --scheduler "$scheduler" -- "$@"
