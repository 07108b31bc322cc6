"""Fill the tables of README, docs and cards, and draw their figures, from benchmarks/results.

    python -m benchmarks.docs              # tables and figures
    python -m benchmarks.docs.gallery      # the pictures of docs/gallery.md

Between ``<!-- results: TEMPLATE [NAME] -->`` and ``<!-- /results -->`` stands what
``templates/TEMPLATE.md.j2`` makes of the results; a template of one result is told its NAME.
"""

from __future__ import annotations

from benchmarks.docs.chart import draw_results
from benchmarks.docs.figures import draw_images, draw_scaling, draw_tradeoff
from benchmarks.docs.pages import PAGES, ROOT, fill, make_environment
from benchmarks.rows import RESULTS


def main() -> None:
    """Rewrite the pages that hold tables, and the figures."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if (filled := fill(text)) != text:
            page.write_text(filled, encoding="utf-8")
            print(page.relative_to(ROOT))
    chart = make_environment(RESULTS).globals["chart"]()
    for figure in (draw_results(chart), draw_tradeoff(), draw_scaling(), draw_images()):
        if figure is not None:
            print(figure.relative_to(ROOT))


if __name__ == "__main__":
    main()
