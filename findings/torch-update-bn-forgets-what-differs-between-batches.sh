#!/usr/bin/env bash
# torch 2.15.0, 2026-11-30.
# One would guess: after torch.optim.swa_utils.update_bn the running mean and variance of batch-norm are those of all images
#   that the loader gave, however they are put into batches; that is what the last step of stochastic weight averaging needs.
# What happens: it averages over batches, not over images. The variance is the mean of the variances inside the batches; what
#   differs between batches is lost. A loader that reads a folder per class in order (every batch one class, the usual
#   evaluation loader) gives a variance of 0 where that of the images is 0.25, and a last batch of one image counts
#   as much as one of 32: a mean of 0.25 where that of the images is 0.01.
# Output seen:
#   images:    mean 0.5000 variance 0.2501
#   shuffled:  mean 0.5000 variance 0.2500
#   in order:  mean 0.5000 variance 0.0000
#   last of 1: mean 0.2500, of the images 0.0103
set -euo pipefail
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT; cd "$place"
command -v uv >/dev/null || python3 -m pip install --quiet uv
uv venv --quiet --python 3.11 env && uv pip install --quiet --python env/bin/python torch==2.15.0 numpy==2.4.6
env/bin/python - <<'PY'
import torch
from torch import nn
from torch.optim.swa_utils import update_bn

def told(images):
    network = nn.Sequential(nn.BatchNorm2d(1))
    update_bn(images.split(32), network)
    return network[0].running_mean.item(), network[0].running_var.item()

torch.manual_seed(0)
dark, bright = torch.zeros(64, 1, 4, 4), torch.ones(64, 1, 4, 4)  # two classes, two folders
images = torch.cat([dark, bright])
shuffled, ordered = told(images[torch.randperm(128)]), told(images)
short = torch.cat([torch.zeros(96, 1, 4, 4), torch.ones(1, 1, 4, 4)])  # four batches, the last of one image
print(f"images:    mean {images.mean():.4f} variance {images.var():.4f}")
print(f"shuffled:  mean {shuffled[0]:.4f} variance {shuffled[1]:.4f}")
print(f"in order:  mean {ordered[0]:.4f} variance {ordered[1]:.4f}")
print(f"last of 1: mean {told(short)[0]:.4f}, of the images {short.mean():.4f}")
assert abs(shuffled[1] - 0.25) < 0.01
assert ordered[1] < 1e-6 < 0.25 < images.var().item()
assert abs(told(short)[0] - 0.25) < 1e-6
PY
