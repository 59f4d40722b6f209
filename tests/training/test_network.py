"""The three-way reading of the hundred-way head."""

import torch
from source.network import BICYCLE, LABELS, MOTORCYCLE, ServedModel, VehicleNetwork, three_way


def test_other_is_the_sum_of_all_the_rest():
    logits = torch.randn(5, 104, generator=torch.Generator().manual_seed(0)) * 3
    whole = logits.softmax(1)
    expected = torch.stack(
        [
            whole[:, BICYCLE],
            whole[:, MOTORCYCLE],
            1 - whole[:, BICYCLE] - whole[:, MOTORCYCLE],
        ],
        dim=1,
    )
    torch.testing.assert_close(three_way(logits).softmax(1), expected)


def test_the_served_model_gives_probabilities_for_any_size_and_batch():
    model = ServedModel(VehicleNetwork(), temperature=2.0).eval()
    for count, side in ((1, 32), (3, 80)):
        probabilities = model(torch.rand(count, 3, side, side) * 255)
        assert probabilities.shape == (count, len(LABELS))
        torch.testing.assert_close(probabilities.sum(1), torch.ones(count))


def test_a_mirrored_photo_gets_the_same_answer():
    model = ServedModel(VehicleNetwork(), temperature=1.0).eval()
    images = torch.rand(3, 3, 48, 48) * 255
    torch.testing.assert_close(model(images), model(images.flip(3)))


def test_a_higher_temperature_is_less_sure():
    network = VehicleNetwork().eval()
    images = torch.rand(4, 3, 40, 40) * 255
    cool = ServedModel(network, 0.5)(images).max(1).values
    warm = ServedModel(network, 2.0)(images).max(1).values
    assert (cool > warm).all()
