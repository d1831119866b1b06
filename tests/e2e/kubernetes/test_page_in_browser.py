"""The page through ``kubectl port-forward``, in a real browser, with the Secret's password."""

from __future__ import annotations

import re
import shutil

from playwright.sync_api import expect, sync_playwright
from tests.e2e.kubernetes import page as page_of

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
PATIENCE_MS = 60_000


def test_the_page_is_reached_as_the_notes_say(system, new_account):
    """Log in, see PAPER, a moving price and strikes, buy one contract, see the trade."""
    trader = new_account("browser")
    trader.until_ready()
    name, word = page_of.password(system.kubectl, f"{system.release.fullname}-admin")
    service = f"{system.release.fullname}-main-app"
    port = page_of.service_port(system.kubectl, service)
    with (
        system.kubectl.forward(f"service/{service}", port) as local,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        page.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        page.goto(f"http://localhost:{local}/")
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password").fill(word)
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("banner")).to_contain_text("PAPER")
        expect(page.get_by_test_id("price")).to_have_text(re.compile(r"^\$[\d,]+\.\d\d$"))
        first = page.get_by_test_id("price").inner_text()
        expect(page.get_by_test_id("price")).not_to_have_text(first)
        # In the last quarter of an hour two events close next; the quarter's has one strike.
        page.get_by_role("button", name=re.compile("^Hour")).click()
        expect(page.locator("tr.strike")).to_have_count(21)
        browser.close()
