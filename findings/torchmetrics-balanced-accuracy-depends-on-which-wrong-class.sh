#!/usr/bin/env bash
# torchmetrics 1.9.0 beside scikit-learn 1.9.1, 2026-11-30.
# One would guess: the mean of the recalls of the classes (torchmetrics' MulticlassAccuracy and MulticlassRecall, average="macro";
#   scikit-learn's balanced_accuracy_score) does not depend on which wrong class an image was given: a recall
#   asks only whether it was right. And the two libraries agree.
# What happens: where a class has no test image (a rare class in a small test set), torchmetrics leaves it out of the mean as long as it is
#   never predicted, and counts it as recall 0 as soon as one wrong prediction falls on it. The same three of four
#   images right give 0.75 or 0.50. scikit-learn's balanced_accuracy_score says 0.75 both times, its
#   recall_score(average="macro"), which should be the same thing, 0.50 and 0.75.
# Output seen:
#   wrong on a class with images:    torchmetrics 0.75, balanced_accuracy_score 0.75, recall_score 0.75
#   wrong on a class without images: torchmetrics 0.50, balanced_accuracy_score 0.75, recall_score 0.50
set -euo pipefail
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT; cd "$place"
command -v uv >/dev/null || python3 -m pip install --quiet uv
uv venv --quiet --python 3.11 env && uv pip install --quiet --python env/bin/python torch==2.15.0 torchmetrics==1.9.0 scikit-learn==1.9.1
env/bin/python -W ignore - <<'PY'
import torch
from sklearn.metrics import balanced_accuracy_score, recall_score
from torchmetrics.classification import MulticlassAccuracy, MulticlassRecall

truth = torch.tensor([0, 0, 1, 1])  # of three classes; the third has no test image
seen = {}
for name, last in (("wrong on a class with images:   ", 0), ("wrong on a class without images:", 2)):
    called = torch.tensor([0, 0, 1, last])
    macro = MulticlassAccuracy(num_classes=3, average="macro")(called, truth).item()
    assert macro == MulticlassRecall(num_classes=3, average="macro")(called, truth).item()
    seen[last] = macro, balanced_accuracy_score(truth, called), recall_score(truth, called, average="macro")
    print(f"{name} torchmetrics {seen[last][0]:.2f}, balanced_accuracy_score {seen[last][1]:.2f}, recall_score {seen[last][2]:.2f}")
assert seen == {0: (0.75, 0.75, 0.75), 2: (0.5, 0.75, 0.5)}
PY
