"""Take the pictures of docs/images: every page of a dashboard that runs, in the themes and on a phone."""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
WIDE = {"width": 1360, "height": 860}
LOW = {"width": 1360, "height": 640}
PHONE = {"width": 390, "height": 844}
SHOTS = (  # name, page, theme, size
    ("overview-dark", "", "dark", WIDE),
    ("overview-light", "", "light", WIDE),
    ("chart-dark", "chart?timeframe=1m", "dark", WIDE),
    ("chart-light", "chart?timeframe=5m", "light", WIDE),
    ("orders-dark", "orders", "dark", LOW),
    ("signals-light", "signals", "light", LOW),
    ("trades-dark", "trades", "dark", LOW),
    ("performance-light", "performance", "light", WIDE),
    ("configuration-dark", "configuration", "dark", WIDE),
    ("alerts-light", "alerts", "light", LOW),
    ("overview-phone", "", "dark", PHONE),
    ("chart-phone", "chart", "light", PHONE),
)


def ready(page: Page, url: str) -> None:
    """Open a page and wait until it is drawn."""
    page.goto(url)
    page.wait_for_selector(".botd-strip")
    page.wait_for_selector("[data-testid=stStatusWidget]", state="detached")
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(1500)  # plotly's own transitions


def small(png: bytes) -> bytes:
    """Return a picture packed as well as it goes, without losing a colour: a marker has few pixels."""
    out = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").save(out, "PNG", optimize=True)
    return out.getvalue()


def shoot(browser: Browser, url: str, folder: Path, only: str) -> None:
    for name, path, theme, size in SHOTS:
        if only not in name:
            continue
        view: Any = size
        context = browser.new_context(
            viewport=view, color_scheme="dark" if theme == "dark" else "light", device_scale_factor=1
        )
        page = context.new_page()
        ready(page, f"{url}/{path}")
        picture = small(page.screenshot())
        (folder / f"{name}.png").write_bytes(picture)
        print(f"{name}.png: {len(picture) // 1000} kB")
        context.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8501", help="where the dashboard is")
    parser.add_argument("--folder", type=Path, default=Path("docs/images"))
    parser.add_argument("--only", default="", help="part of the names to take")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM)
        shoot(browser, given.url, given.folder, given.only)
        browser.close()


if __name__ == "__main__":
    main()
