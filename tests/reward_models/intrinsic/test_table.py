import json
import threading

import pytest

from densegym import assets
from densegym.errors import ResultsError
from densegym.reward_models.intrinsic.annotation.sources import RECORDED
from densegym.reward_models.intrinsic.annotation.table import CaptionTable, Provenance
from densegym.reward_models.intrinsic.canonical import canonical

MADE = Provenance(kind="grade", goal="progress", prompt="p-v1", annotator="lexicon")


def test_labels_survive_and_the_first_one_stays(tmp_path):
    table = CaptionTable(MADE, tmp_path / "t.jsonl")
    assert table.add({"a door": 3, "a key": 8}) == 2
    assert table.add({"a key": 1}) == 0
    table.close()
    again = CaptionTable(MADE, tmp_path / "t.jsonl")
    assert dict(again) == {"a door": 3.0, "a key": 8.0}
    assert again.provenance.date


def test_a_torn_last_line_is_cut_off(tmp_path):
    path = tmp_path / "t.jsonl"
    table = CaptionTable(MADE, path)
    table.add({"a door": 3})
    table.close()
    with path.open("a") as file:
        file.write('{"caption": "half')
    assert dict(CaptionTable(path=path, readonly=True)) == {"a door": 3.0}
    again = CaptionTable(MADE, path)
    again.add({"a key": 8})
    again.close()
    assert dict(CaptionTable(path=path, readonly=True)) == {"a door": 3.0, "a key": 8.0}


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("nonsense", "line 3 is damaged"),
        ('{"caption": "x"}', "line 3 is damaged"),
        ('{"caption": "x", "value": NaN}', "between 0 and 9"),
        ('{"caption": "x", "value": 10}', "between 0 and 9"),
        ('{"caption": "", "value": 1}', "not empty"),
        ('{"caption": "a door", "value": 4}', "contradicts"),
        ("[1]", "line 3 is damaged"),
    ],
)
def test_damage_is_refused_by_line(tmp_path, line, what):
    path = tmp_path / "t.jsonl"
    table = CaptionTable(MADE, path)
    table.add({"a door": 3})
    table.close()
    with path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(ResultsError, match=what):
        CaptionTable(MADE, path)


@pytest.mark.parametrize("first", ["", "{}", "[]", '{"schema": 2}', "\x00\x01", '{"schema": 1}'])
def test_a_file_without_header_is_refused(tmp_path, first):
    path = tmp_path / "t.jsonl"
    path.write_text(first + "\n")
    with pytest.raises(ResultsError, match="no caption table"):
        CaptionTable(MADE, path)


def test_provenances_do_not_mix(tmp_path):
    CaptionTable(MADE, tmp_path / "t.jsonl").close()
    other = Provenance(kind="grade", goal="gold", prompt="p-v1", annotator="lexicon")
    with pytest.raises(ResultsError, match="goal 'progress', not 'gold'"):
        CaptionTable(other, tmp_path / "t.jsonl")
    with pytest.raises(ResultsError, match="never share"):
        CaptionTable(MADE).merge(CaptionTable(other))


def test_merging_keeps_the_first_and_names_clashes():
    one, other = CaptionTable(MADE), CaptionTable(MADE)
    one.add({"a": 1, "b": 2})
    other.add({"b": 3, "c": 4})
    assert one.merge(other) == ["b"]
    assert dict(one) == {"a": 1.0, "b": 2.0, "c": 4.0}


def test_missing_table_says_how_to_make_one(tmp_path):
    with pytest.raises(ResultsError, match="densegym captions label"):
        CaptionTable(path=tmp_path / "none.jsonl", readonly=True)


def test_threads_label_each_caption_once(tmp_path):
    path = tmp_path / "t.jsonl"
    table = CaptionTable(MADE, path)
    threads = [
        threading.Thread(target=lambda n=n: [table.add({f"c{i}": n}) for i in range(50)])
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    table.close()
    rows = [json.loads(line) for line in path.read_text().splitlines()[1:]]
    assert sorted(row["caption"] for row in rows) == sorted(f"c{i}" for i in range(50))


def test_the_shipped_table():
    table = CaptionTable(path=assets.path(RECORDED), readonly=True)
    assert len(table) >= 1_500
    assert table.provenance.annotator == "language model, by mailbox"
    assert table.provenance.goal == "progress"
    assert sum(table.seen.values()) > 100_000
    changed = [caption for caption in table if canonical(caption) != (caption,)]
    assert len(changed) < 20, changed  # the canonical form is nearly a fixed point
