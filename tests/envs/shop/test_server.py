"""The shop in a browser: real server, real Chromium, and what must not get through."""

from __future__ import annotations

import os
import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from densegym.envs.shop import server
from densegym.envs.shop.demos import load_demos
from densegym.envs.shop.server import MAX_BODY, make_app, serve
from densegym.envs.shop.session.world import Setting, ShopWorld
from densegym.errors import DenseGymError
from tests.envs.shop.factories import built, lamp

uvicorn = pytest.importorskip("uvicorn")
HOSTILE = "<script>document.title='owned'</script>"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> ShopWorld:
    hostile = lamp(60, title=HOSTILE, human=())
    lamps = [lamp(n) for n in range(14)]
    store = built(tmp_path_factory.mktemp("shop") / "store", *lamps, hostile)
    return ShopWorld(Setting(store=store.info.folder, goals="synthetic", split="all"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demos")


@pytest.fixture(scope="module")
def url(world: ShopWorld, folder: Path) -> Iterator[str]:
    """Return the address of a running server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = uvicorn.Config(make_app(world, folder), port=port, log_level="error")
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    running.should_exit = True
    thread.join()


@pytest.fixture
def client(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, follow_redirects=True) as made:
        yield made


def act(client: httpx.Client, session: str, action: str, **fields: str) -> httpx.Response:
    return client.post(f"/play/{session}", data={"action": action, **fields})


def test_an_episode_is_played_and_recorded(client, world, folder):
    goal = world.goals[0]
    assert goal.instruction in client.get(f"/play/anna?goal={goal.id}").text
    assert "Page 1" in act(client, "anna", "search", words=goal.name).text
    act(client, "anna", f"click[{goal.asin}]")
    for group, value in goal.options.items():
        page = act(client, "anna", f"click[{group}: {value}]")
    assert 'aria-pressed="true"' in page.text
    done = act(client, "anna", "click[buy now]")
    assert "100.0" in done.text
    assert "easy clean" in done.text
    (demo,) = load_demos(folder / "anna.jsonl", world)
    assert demo.reward == 1.0
    last = client.get(f"/replay/anna?step={len(demo.steps) - 1}")
    assert "click[buy now]" in last.text
    assert "+1.000" in last.text
    assert client.get("/replay/anna?step=zzz").status_code == 200
    again = act(client, "anna", "click[buy now]")
    assert again.status_code == 400
    assert "over" in again.text


def test_a_reload_does_not_begin_anew(client, world):
    client.get(f"/play/bob?goal={world.goals[1].id}")
    act(client, "bob", "search", words="lamp")
    assert "Page 1" in client.get("/play/bob").text


def test_sessions_do_not_see_each_other(client, world):
    names = [f"guest{n}" for n in range(8)]
    for name, goal in zip(names, world.goals, strict=False):
        client.get(f"/play/{name}?goal={goal.id}")
    threads = [
        threading.Thread(target=act, args=(client, name, "search"), kwargs={"words": f"lamp {n}"})
        for n, name in enumerate(names)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name, goal in zip(names, world.goals, strict=False):
        page = client.get(f"/play/{name}").text
        assert goal.instruction in page
        assert "step 1" in page


@pytest.mark.parametrize(
    "path",
    [
        "/replay/..%2f..%2fetc%2fpasswd",
        "/replay/%2e%2e/anna",
        "/replay/nobody",
        "/replay/anna.jsonl",
        "/play/a%00b",
        "/play/carl?goal=999999999",
        "/play/carl?goal=-1",
        "/play/carl?goal=one",
        "/static/x",
    ],
)
def test_nothing_else_can_be_reached(client, path):
    answer = client.get(path)
    assert answer.status_code in (400, 404)
    assert "root:" not in answer.text
    assert "Traceback" not in answer.text


def test_invalid_actions_are_explained(client, world):
    client.get(f"/play/dora?goal={world.goals[0].id}")
    answer = act(client, "dora", "click[buy now]")
    assert answer.status_code == 400
    assert "no such button" in answer.text
    assert act(client, "dora", "search", words=" ").status_code == 400
    assert client.post("/play/dora", content=b"a" * (MAX_BODY + 1)).status_code == 404
    assert act(client, "dora", "\U0001f388" * 100).status_code == 400


def test_other_hosts_and_other_sites_are_turned_away(client, world):
    client.get(f"/play/eve?goal={world.goals[0].id}")
    rebound = client.get("/goals", headers={"host": "evil.example"})
    assert rebound.status_code == 400
    posted = client.post(
        "/play/eve",
        data={"action": "search", "words": "lamp"},
        headers={"origin": "https://evil.example"},
    )
    assert posted.status_code == 404
    assert "Page 1" not in client.get("/play/eve").text


def test_pages_load_nothing_and_run_nothing(client, world):
    answer = client.get("/goals")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    goal = next(goal for goal in world.goals if goal.asin == "L0060")
    client.get(f"/play/fred?goal={goal.id}")
    page = act(client, "fred", "search", words="script").text
    assert "&lt;script&gt;" in page
    assert "<script" not in page


def test_an_edited_recording_is_refused_in_words(client, world, folder):
    client.get(f"/play/gina?goal={world.goals[0].id}")
    act(client, "gina", "search", words="lamp")
    path = folder / "gina.jsonl"
    path.write_text(path.read_text().replace('"reward": 0.0', '"reward": 1.0'))
    answer = client.get("/replay/gina")
    assert answer.status_code == 400
    assert "does not lead where it says" in answer.text


def test_old_sessions_are_forgotten_and_their_files_kept(world, tmp_path, monkeypatch):
    monkeypatch.setattr(server, "MAX_SESSIONS", 3)
    sessions = server.Sessions(world, tmp_path)
    for n in range(5):
        sessions.show(f"s{n}", str(world.goals[0].id))
    assert len(sessions._shoppers) == 3
    assert len(sessions.records()) == 5


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.4", "example.org"])
def test_it_is_served_on_this_machine_only(world, tmp_path, host):
    with pytest.raises(DenseGymError, match="this machine only"):
        serve(world, tmp_path, host=host)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("no chromium with chromedriver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    flags = "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run"
    for flag in (*flags.split(), "--disable-background-networking"):
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    made = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield made
    made.quit()


@pytest.mark.parametrize(("name", "width"), [("desktop", 1280), ("phone", 390)])
def test_a_person_buys_with_the_mouse_and_with_the_keyboard(
    browser, url, world, folder, tmp_path, name, width
):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    def press(selector: str, key: str) -> None:
        element, before = browser.find_element(By.CSS_SELECTOR, selector), steps(browser)
        element.click() if name == "desktop" else element.send_keys(key)
        wait(browser, lambda: steps(browser) == before + 1)

    goal = world.goals[2]
    browser.set_window_size(width, 900)
    browser.get(f"{url}/play/{name}?goal={goal.id}")
    browser.switch_to.active_element.send_keys(goal.name, Keys.ENTER)  # focus is in the box
    wait(browser, lambda: steps(browser) == 1)
    shots = [shot(browser, tmp_path, f"{name}-results")]
    press(f'[value="click[{goal.asin.lower()}]"]', Keys.ENTER)
    for value in goal.options.values():
        press(f'[value="click[{value}]"]', Keys.SPACE)
    shots.append(shot(browser, tmp_path, f"{name}-item"))
    assert wide(browser) <= width
    assert len(browser.find_elements(By.CSS_SELECTOR, '[aria-pressed="true"]')) == 2
    press('[value="click[buy now]"]', Keys.ENTER)
    shots.append(shot(browser, tmp_path, f"{name}-done"))
    assert browser.find_element(By.CSS_SELECTOR, ".score.full").text.startswith("100.0")
    assert load_demos(folder / f"{name}.jsonl", world)[-1].reward == 1.0
    assert all(path.stat().st_size > 5_000 for path in shots)
    assert browser.title != "owned"


def wait(browser, reached) -> None:
    """Wait for a page; while one replaces the other, Chromium answers with errors of many kinds."""
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver.support.ui import WebDriverWait

    waiting = WebDriverWait(browser, 30, ignored_exceptions=[WebDriverException])
    waiting.until(lambda _: reached())


def steps(browser) -> int:
    """Return the number of steps that the loaded page prints; 0 where it prints none."""
    told = browser.execute_script(
        "return document.readyState === 'complete'"
        " ? document.querySelector('header').innerText : 'step -1'"
    )
    found = re.search(r"step (-?\d+)", told)
    return int(found[1]) if found else 0


def wide(browser) -> int:
    return int(browser.execute_script("return document.documentElement.scrollWidth"))


def shot(browser, tmp_path: Path, name: str) -> Path:
    """Keep a picture of the page where people look for artefacts of tests."""
    folder = Path(os.environ.get("DENSEGYM_ARTEFACTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"shop-{name}.png"
    browser.save_screenshot(str(path))
    return path
