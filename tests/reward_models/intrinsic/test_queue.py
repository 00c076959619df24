import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from densegym.errors import DenseGymError, UnknownNameError
from densegym.reward_models.intrinsic.annotation.queue import CaptionQueue


def texts(items):
    return [item.caption for item in items]


def test_a_caption_waits_once():
    queue = CaptionQueue({})
    assert [queue.put("a"), queue.put("b"), queue.put("a")] == [True, True, False]
    assert len(queue) == 2
    assert sorted(texts(queue.take(10, 10))) == ["a", "b"]
    assert queue.take(10, 10) == []  # pending
    assert not queue.put("a")
    queue.done(["a", "b"])
    assert len(queue) == 0


@pytest.mark.parametrize(
    ("priority", "order"),
    [("fifo", "a b c"), ("recency", "a c b"), ("frequency", "b a c")],
)
def test_priorities(priority, order):
    queue = CaptionQueue({}, priority=priority)
    for caption in "abbbca":
        queue.put(caption)
    assert " ".join(texts(queue.take(3, 3))) == order


def test_labelled_captions_do_not_wait():
    assert not CaptionQueue({"a": 1.0}).put("a")


def test_two_unusable_replies_end_it_until_the_next_start(tmp_path):
    queue = CaptionQueue({}, tmp_path / "q")
    queue.put("a")
    queue.put("b")
    queue.strike(texts(queue.take(1, 1)))
    again = queue.take(10, 1)
    assert len(again) == 1  # suspicious captions are asked about apart
    rest = queue.take(10, 10)
    assert {*texts(again), *texts(rest)} == {"a", "b"}
    struck = next(item for item in (*again, *rest) if item.strikes).caption
    queue.strike([struck])
    assert queue.failed == {struck}
    assert not queue.put(struck)
    assert len(queue) == 1
    queue.close()
    fresh = CaptionQueue({}, tmp_path / "q")
    assert sorted(texts(fresh.take(5, 5))) == ["a", "b"]
    fresh.close()


def test_captions_whose_calls_fail_go_behind_others():
    queue = CaptionQueue({}, priority="recency")
    for caption in ("old", "poison"):
        queue.put(caption)
    for _ in range(3):
        item = queue.take(1, 1)
        assert texts(item) in (["poison"], ["old"])
        queue.give_back(texts(item))
    assert sorted(texts(queue.take(2, 2))) == ["old", "poison"]


def test_what_overflows_comes_back_from_the_journal(tmp_path):
    queue = CaptionQueue({}, tmp_path / "q", capacity=10, priority="fifo")
    for n in range(100):
        queue.put(f"c{n}")
        assert len(queue) <= 10
    assert len(queue) + queue.overflowed == 100
    labelled = {}
    queue._labelled = labelled
    while items := queue.take(7, 7):
        for item in items:
            assert item.caption not in labelled
            labelled[item.caption] = 1.0
        queue.done(texts(items))
    assert len(labelled) == 100
    queue.close()


def test_a_killed_process_finds_its_queue_again(tmp_path):
    path = tmp_path / "q"
    queue = CaptionQueue({}, path)
    for caption in ("a", "b", "c\nd"):
        queue.put(caption)
    queue.close()
    with path.open("a") as file:
        file.write('{"torn": ')
    again = CaptionQueue({"a": 1.0}, path)
    assert sorted(texts(again.take(5, 5))) == ["b", "c\nd"]
    again.close()
    assert [json.loads(line) for line in path.read_text().splitlines()] == ["b", "c\nd"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("put"), st.integers(0, 15)),
            st.tuples(st.sampled_from(["done", "strike", "back"]), st.integers(1, 4)),
        ),
        max_size=60,
    ),
    st.integers(1, 6),
)
def test_no_caption_is_lost_or_asked_about_twice_at_once(tmp_path_factory, acts, capacity):
    labelled = {}
    path = tmp_path_factory.mktemp("queue") / "q"
    queue = CaptionQueue(labelled, path, capacity=capacity)
    put = set()
    for act, n in acts:
        if act == "put":
            put.add(f"c{n}")
            queue.put(f"c{n}")
            continue
        captions = texts(queue.take(n, n))
        assert not set(captions) & set(labelled)
        if act == "done":
            labelled.update(dict.fromkeys(captions, 1.0))
            queue.done(captions)
        elif act == "strike":
            queue.strike(captions)
        else:
            queue.give_back(captions)
        assert len(queue) <= capacity + 1
    queue.close()
    again = CaptionQueue(labelled, path)
    left = set(texts(again.take(100, 100)))
    again.close()
    assert left == put - set(labelled)


def test_wrong_options_are_refused():
    with pytest.raises(UnknownNameError, match="recency"):
        CaptionQueue({}, priority="recent")
    with pytest.raises(DenseGymError, match="capacity"):
        CaptionQueue({}, capacity=0)
