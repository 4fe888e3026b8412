"""The pooled decoder against numpy, and as the classifier of the first pretraining."""

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

import losses
import models
from models.decoders.pooled import PooledReader


class Features(nn.Module):
    """Stands where a trunk would and returns the features that it is given."""

    channels = 3

    def forward(self, features):
        return features


def test_scores_are_a_linear_layer_a_position_on_the_features_average():
    torch.manual_seed(0)
    reader = PooledReader(Features(), models.Outputs(5, 4, 6), hidden=0, layers=1).double().eval()
    features = torch.rand(7, 3, 2, 4, dtype=torch.float64)
    with torch.no_grad():
        steps, lengths, columns = reader(features)
    weight, bias = (p.detach().numpy() for p in reader.characters.parameters())
    pooled = features.numpy().mean(axis=(2, 3))
    assert steps.shape == (7, 6, 5)
    for position in range(6):
        own = slice(5 * position, 5 * position + 5)
        by_hand = pooled @ weight[own].T + bias[own]
        np.testing.assert_allclose(steps[:, position].numpy(), by_hand, rtol=1e-9)
    weight, bias = (p.detach().numpy() for p in reader.length[1].parameters())
    np.testing.assert_allclose(lengths.numpy(), pooled @ weight.T + bias, rtol=1e-9)
    assert columns is None


def test_one_position_over_ten_digits_is_a_classifier_of_ten_classes():
    objective = losses.OBJECTIVES["ce_stop"](charset="0123456789", max_length=1, length_weight=0)
    assert (objective.num_classes, objective.length_classes) == (10, 0)
    outputs = models.Outputs(objective.num_classes, 0, max_length=1)
    model = models.build("resnet18", 32, "pooled", outputs).eval()
    # Trunk and head are all of torchvision's own classifier of ten classes.
    own = torchvision.models.resnet18(num_classes=10)
    assert models.count_parameters(model) == sum(p.numel() for p in own.parameters())
    labels = ["3", "0", "9", "3"]
    with torch.no_grad():
        scores = model(torch.rand(4, 1, 32, 32))
    assert scores.steps.shape == (4, 1, 10)
    digits = torch.tensor([int(label) for label in labels])
    for after_stop in ("ignore", "zero"):
        same = losses.OBJECTIVES["ce_stop"](
            charset="0123456789", max_length=1, length_weight=0, after_stop=after_stop
        )
        total = same.loss(scores, same.encode(labels))["total"]
        torch.testing.assert_close(total, F.cross_entropy(scores.steps[:, 0], digits))
    sure, best = scores.steps[:, 0].double().softmax(dim=1).max(dim=1)
    readings = objective.decode(scores)
    assert [reading.text for reading in readings] == [str(digit) for digit in best.tolist()]
    np.testing.assert_allclose([r.confidence for r in readings], sure.numpy(), rtol=1e-5)
