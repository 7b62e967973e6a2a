"""Finding clients: by name in any script, by number, by where they stand; page by page; never another's."""

from typing import Any

import httpx
import pytest

from client_service.testing import LI, WANG, ZHAO, Desk
from contracts.client import Stage


async def names(caller: httpx.AsyncClient, **query: Any) -> list[str]:
    answer = await caller.get("/clients", params=query)
    assert answer.status_code == 200, answer.text
    return [client["name"] for client in answer.json()["items"]]


@pytest.fixture
async def four(desk: Desk) -> None:
    await desk.managed(
        LI, name="烟台市东上电子有限公司", other_name="YANTAI DONSA ELECTRONIC", industry="C39", region="CN-SD"
    )
    await desk.managed(
        WANG,
        name="威海中威橡胶有限公司",
        other_name="Weihai Zhongwei Rubber",
        industry="C29",
        region="CN-SD",
        roles=["client", "guarantor"],
    )
    await desk.managed(
        ZHAO,
        name="江阴胜海实业有限公司",
        industry="F51",
        region="CN-JS",
        identifiers=[{"scheme": "uscc", "value": "91320281743106279B"}],
        external_numbers=[{"system": "core", "number": "S-3"}],
    )
    await desk.register(name="100%_Pure A\\B GmbH", external_numbers=[{"system": "core", "number": "S-4"}])


@pytest.mark.usefixtures("four")
class TestFinding:
    @pytest.mark.parametrize(
        ("q", "found"),
        [
            ("东上", ["烟台市东上电子有限公司"]),
            ("海", ["威海中威橡胶有限公司", "江阴胜海实业有限公司"]),
            ("威橡", ["威海中威橡胶有限公司"]),
            ("donsa", ["烟台市东上电子有限公司"]),
            ("yantai 电子", ["烟台市东上电子有限公司"]),
            ("RUBBER weihai", ["威海中威橡胶有限公司"]),
            ("%", ["100%_Pure A\\B GmbH"]),
            ("_p", ["100%_Pure A\\B GmbH"]),
            ("a\\b", ["100%_Pure A\\B GmbH"]),
            ("上东", []),
        ],
    )
    async def test_by_part_of_a_name(self, desk: Desk, q: str, found: list[str]) -> None:
        assert sorted(await names(desk.operations, q=q)) == sorted(found)

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ({"number": "91320281743106279B"}, ["江阴胜海实业有限公司"]),
            ({"number": "91320281-743106279b "}, ["江阴胜海实业有限公司"]),
            ({"number": "S-3"}, ["江阴胜海实业有限公司"]),
            ({"number": "S-3", "system": "core"}, ["江阴胜海实业有限公司"]),
            ({"number": "S-3", "system": "crm"}, []),
            ({"number": "S-"}, []),
            ({"industry": "C"}, ["威海中威橡胶有限公司", "烟台市东上电子有限公司"]),
            ({"industry": "C29"}, ["威海中威橡胶有限公司"]),
            ({"region": "CN-JS"}, ["江阴胜海实业有限公司"]),
            ({"role": "guarantor"}, ["威海中威橡胶有限公司"]),
            ({"rm": str(LI)}, ["烟台市东上电子有限公司"]),
            ({"unassigned": True}, ["100%_Pure A\\B GmbH"]),
            ({"unassigned": False, "region": "CN-SD"}, ["威海中威橡胶有限公司", "烟台市东上电子有限公司"]),
            ({"stage": ["active", "dormant"]}, []),
            ({"stage": "lead", "q": "公司", "industry": "F"}, ["江阴胜海实业有限公司"]),
        ],
    )
    async def test_by_what_is_on_file(self, desk: Desk, query: dict[str, Any], found: list[str]) -> None:
        assert sorted(await names(desk.operations, **query)) == sorted(found)

    async def test_each_sees_their_own(self, desk: Desk) -> None:
        for caller, seen in (
            (desk.li, ["烟台市东上电子有限公司"]),
            (desk.north_lead, ["威海中威橡胶有限公司", "烟台市东上电子有限公司"]),
            (desk.south_lead, ["江阴胜海实业有限公司"]),
            (desk.elsewhere, []),
        ):
            answer = await caller.get("/clients", params={"total": True})
            assert sorted(client["name"] for client in answer.json()["items"]) == sorted(seen)
            assert answer.json()["total"] == len(seen)
            assert await names(caller, number="S-4") == []
            assert await names(caller, q="pure") == []
        assert (await desk.risk_officer.get("/clients", params={"total": True})).json()["total"] == 4

    @pytest.mark.parametrize("sort", ["-registered_at", "registered_at", "name", "-stage_since"])
    async def test_pages_make_the_whole(self, desk: Desk, sort: str) -> None:
        whole = await names(desk.operations, sort=sort)
        paged: list[str] = []
        cursor: str | None = None
        for _ in range(9):
            query = {"limit": 1, "sort": sort, "total": True} | ({"cursor": cursor} if cursor else {})
            page = (await desk.operations.get("/clients", params=query)).json()
            assert page["total"] == 4
            paged += [client["name"] for client in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert paged == whole
        assert len(paged) == 4

    @pytest.mark.parametrize(
        "query",
        [
            {"stage": "gone"},
            {"rm": "li"},
            {"limit": 0},
            {"limit": 501},
            {"sort": "size"},
            {"q": ""},
            {"cursor": "x"},
            {"region": "a b"},
            {"number": "\u0000"},
            {"q": "\u0000"},
        ],
    )
    async def test_a_bad_question_is_answered_4xx(self, desk: Desk, query: dict[str, Any]) -> None:
        answer = await desk.operations.get("/clients", params=query)
        assert 400 <= answer.status_code < 500

    async def test_by_stage(self, desk: Desk) -> None:
        client = (await desk.operations.get("/clients", params={"q": "胜海"})).json()["items"][0]
        await desk.move(client["id"], Stage.PROSPECT)
        assert await names(desk.operations, stage=["prospect", "approved"]) == ["江阴胜海实业有限公司"]
