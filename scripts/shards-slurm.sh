#!/usr/bin/env bash
# A run in 16 parts as a Slurm array, and then one dataset of them.
#
#   job=$(sbatch --parsable scripts/shards-slurm.sh configs/pipeline.yaml)
#   sbatch --dependency="afterok:$job" --wrap "convogen compile-upload -c configs/upload.yaml"
#
# A part that was killed or lost its node goes on where it stopped when it is started again:
#
#   sbatch --array=3,7 scripts/shards-slurm.sh configs/pipeline.yaml
#
# The run directories must lie where all nodes see them: runs/demo-00-of-16 to runs/demo-15-of-16. `runs: [runs/demo]` in the
# upload configuration stands for all of them. The array must count from 0.
#SBATCH --job-name=convogen
#SBATCH --array=0-15
#SBATCH --cpus-per-task=2
#SBATCH --mem=4G
#SBATCH --time=24:00:00
#SBATCH --requeue
# Time for calls in flight to end: they are paid for.
#SBATCH --signal=TERM@60
set -euo pipefail

# What the file system shared by the nodes promises is for whoever runs it to know: one process a part, as here, needs no locks
# between machines.
exec convogen pipeline run -c "${1:?name a pipeline configuration}" --shards 16 --allow-network-fs
