"""All that came in is read, however many pages it takes."""

from datetime import datetime
from pathlib import Path

import pytest

from penstock.monitoring import reading
from penstock.monitoring.reading import PredictionReader
from shop_world import DAY, START, Shop


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.fixture
def reader(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> PredictionReader:
    monkeypatch.setattr(reading, "PAGE", 3)
    monkeypatch.setattr(reading, "SEGMENTS", 2)
    return PredictionReader(shop.services.predictions, shop.services.objects, "shop")


def test_segments_are_listed_over_all_pages(shop: Shop, reader: PredictionReader) -> None:
    for day in range(7):
        shop.request_at([START + day * DAY])
    assert [segment.number for segment in reader.list_segments()] == [1, 2, 3, 4, 5, 6, 7]
    assert [segment.number for segment in reader.list_segments(after=5)] == [6, 7]
    assert [segment.number for segment in reader.list_segments(start=START + DAY, end=START + 6 * DAY)] == [
        2,
        3,
        4,
        5,
        6,
    ]


def test_rows_come_in_the_order_of_event_time_with_their_outcomes(shop: Shop, reader: PredictionReader) -> None:
    for day in (2, 0, 1):
        ids = shop.request_at([START + day * DAY + hour * DAY / 24 for hour in (5, 3)])
        shop.answer(ids[:1], 1.0, START + 9 * DAY)
    rows = reader.read_rows(reader.list_segments())
    times: list[datetime] = rows["at"].to_list()
    assert times == sorted(times) and len(times) == 6
    assert rows["outcome"].null_count() == 3
    assert rows.filter(rows["outcome"].is_not_null())["at"].dt.hour().to_list() == [5, 5, 5]


def test_without_segments_there_are_no_rows(reader: PredictionReader) -> None:
    assert reader.read_rows([]).height == 0


def test_segments_with_new_outcomes_are_found_once_each(shop: Shop, reader: PredictionReader) -> None:
    held = [shop.request_at([START + day * DAY] * 3) for day in range(3)]
    shop.answer([name for ids in held for name in ids], 0.5, START + 9 * DAY)
    assert [segment.number for segment in reader.list_answered(after=0)] == [1, 2, 3]
    assert [segment.number for segment in reader.list_answered(after=6)] == [3]
    assert reader.list_answered(after=9) == []
