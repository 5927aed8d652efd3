"""Draws the panels of dashboard.json from the answers of a Prometheus, where and roughly how Grafana would draw them.

It is not Grafana: it knows the panel types and options that deploy/monitoring/dashboard writes, and raises an error for others.
matplotlib is installed into .tools/, in the version below.
"""

import datetime
import re
import subprocess
import sys
import tempfile
from pathlib import Path

MATPLOTLIB = "3.11.2"
TOOLS = Path(__file__).resolve().parents[2] / ".tools"
COLUMN, UNIT, GAP = 50, 31, 8  # pixels: a column of the grid, a unit of its height, and the space between two panels
PAGE, PANEL, EDGE, TEXT, FAINT = "#f1f2f4", "#ffffff", "#d6d8dc", "#1f2933", "#5b6672"
PALETTE = ["#5a9f4f", "#d9a20b", "#2f9fb8", "#e0701f", "#d1372c", "#1f68b0", "#a03a93", "#6b55b0", "#3d7a33", "#8f6c00",
           "#96342a", "#0d4377", "#5f2559", "#b5763c", "#7f8c8d"]
NAMED = {"green": "#4c9f4f", "red": "#d8343f", "orange": "#e8860c", "dark-red": "#9c1220", "purple": "#8e4fb5", "blue": "#3b78d8",
         "yellow": "#d9b400"}
MOST_LEGENDS = 8
CHARACTER = 8.2  # pixels that a character of 10 points takes, at most


def install():
    home = TOOLS / f"matplotlib-{MATPLOTLIB}-{sys.implementation.cache_tag}"
    if not home.is_dir():
        print(f"installing matplotlib {MATPLOTLIB} into {TOOLS}", flush=True)
        with tempfile.TemporaryDirectory(dir=TOOLS, prefix=".matplotlib-") as scratch:
            fresh = Path(scratch) / "fresh"
            subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input",
                            "--target", str(fresh), f"matplotlib=={MATPLOTLIB}"], check=True)
            if not home.is_dir():
                fresh.rename(home)
    sys.path.insert(0, str(home))


# ---- values ------------------------------------------------------------------------------------------------------------


def written(value, unit, decimals=None):
    """The value as Grafana writes it in this unit."""
    if unit in ("s", "dtdurations"):
        for size, name in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms"), (1e-6, "µs")):
            if abs(value) >= size:
                return f"{value / size:.3g} {name}"
        return "0 s" if value == 0 else f"{value:.1e} s"
    if unit == "percentunit":
        return f"{value * 100:.{decimals if decimals is not None else 1}f} %"
    if unit == "bytes":
        for size, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
            if abs(value) >= size:
                return f"{value / size:.3g} {name}"
        return f"{value:.0f} B"
    suffix = {"reqps": " req/s", "cps": " /s", "short": ""}[unit]
    if abs(value) >= 1000:
        return f"{value / 1000:.3g} K{suffix}"
    number = f"{value:.{decimals}f}" if decimals is not None else f"{value:.3g}"
    return number + suffix


def legend_of(target, labels):
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda found: labels.get(found[1], ""), target["legendFormat"]) or "value"


def lines_of(answer):
    """The series of a panel: name, and times and values without those that are no number."""
    found = []
    for target, series in answer:
        for one in series:
            points = [(float(at), float(value)) for at, value in one["values"] if value not in ("NaN", "+Inf", "-Inf")]
            found.append((legend_of(target, one["metric"]), dict(points)))
    return sorted((line for line in found if line[1]), key=lambda line: line[0])


def colours_of(panel, names):
    fixed = {rule["matcher"]["options"]: rule["properties"][0]["value"]["fixedColor"] for rule in panel["fieldConfig"]["overrides"]}
    return [NAMED[fixed[name]] if name in fixed else PALETTE[at % len(PALETTE)] for at, name in enumerate(names)]


# ---- panels ------------------------------------------------------------------------------------------------------------


class Page:
    def __init__(self, dashboard, start, end):
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot, rcParams

        rcParams.update({"font.family": "DejaVu Sans", "font.size": 10.5, "text.color": TEXT, "axes.edgecolor": EDGE, "axes.linewidth": 0.8,
                         "axes.labelcolor": FAINT, "xtick.color": FAINT, "ytick.color": FAINT, "xtick.labelsize": 10, "ytick.labelsize": 10})
        self.start, self.end, self.dpi = start, end, 100
        self.head = 64
        self.width = 24 * COLUMN + 2 * GAP
        self.height = self.head + UNIT * max(one["gridPos"]["y"] + one["gridPos"]["h"] for one in dashboard["panels"]) + GAP
        self.figure = pyplot.figure(figsize=(self.width / self.dpi, self.height / self.dpi), dpi=self.dpi, facecolor=PAGE)

    def axes(self, left, top, width, height, **more):
        """Axes by pixels from the upper left corner of the picture."""
        return self.figure.add_axes((left / self.width, 1 - (top + height) / self.height, width / self.width, height / self.height), **more)

    def text(self, left, top, text, **more):
        self.figure.text(left / self.width, 1 - top / self.height, text, va="top", **more)

    def box(self, place):
        """The frame of a panel, and the space in it below its title: left, top, width, height."""
        from matplotlib.patches import FancyBboxPatch

        left, top = GAP + place["x"] * COLUMN + GAP / 2, self.head + place["y"] * UNIT + GAP / 2
        width, height = place["w"] * COLUMN - GAP, place["h"] * UNIT - GAP
        frame = FancyBboxPatch((left / self.width, 1 - (top + height) / self.height), width / self.width, height / self.height,
                               boxstyle="square,pad=0", facecolor=PANEL, edgecolor=EDGE, linewidth=1, transform=self.figure.transFigure, zorder=-1)
        self.figure.add_artist(frame)
        return left, top, width, height

    def title(self, panel, left, top, size=12):
        self.text(left + 10, top + 8, panel["title"], fontsize=size, fontweight="bold")

    def legend(self, names, colours, left, top, width):
        """Names from left to right, on as many lines as fit below `top`; what is left over is counted."""
        shown = names[:MOST_LEGENDS]
        across, line = left + 12, top
        for number, (name, colour) in enumerate(zip(shown, colours)):
            name = name if len(name) <= 38 else name[:37] + "…"
            length = 24 + CHARACTER * len(name)
            if across + length > left + width and across > left + 12:
                across, line = left + 12, line + 17
            self.figure.add_artist(self.swatch(across, line, colour))
            self.text(across + 14, line, name, fontsize=10, color=TEXT)
            across += length
        if len(names) > len(shown):
            self.text(across, line, f"+ {len(names) - len(shown)}", fontsize=10, color=FAINT)

    def swatch(self, left, top, colour):
        from matplotlib.patches import Rectangle

        return Rectangle((left / self.width, 1 - (top + 11) / self.height), 10 / self.width, 9 / self.height, facecolor=colour,
                         edgecolor="none", transform=self.figure.transFigure)

    def legend_lines(self, names, width):
        lines, across = 1, 12
        for name in names[:MOST_LEGENDS]:
            length = 24 + CHARACTER * min(len(name), 38)
            if across + length > width and across > 12:
                lines, across = lines + 1, 12
            across += length
        return lines

    def time_axis(self, axes):
        from matplotlib.dates import DateFormatter, MinuteLocator, SecondLocator

        axes.set_xlim(self.moment(self.start), self.moment(self.end))
        seconds = self.end - self.start
        axes.xaxis.set_major_locator(MinuteLocator(interval=2) if seconds > 300 else SecondLocator(bysecond=(0, 30)) if seconds < 150 else MinuteLocator())
        axes.xaxis.set_major_formatter(DateFormatter("%H:%M" if seconds >= 150 else "%H:%M:%S"))
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.grid(axis="y", color="#e6e8eb", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(length=0)
        axes.tick_params(axis="x", pad=7)

    @staticmethod
    def moment(at):
        return datetime.datetime.fromtimestamp(at, datetime.timezone.utc)

    def stat(self, panel, answer):
        left, top, width, height = self.box(panel["gridPos"])
        self.title(panel, left, top, 9.8)
        points = sorted(lines_of(answer)[0][1].items())
        value, defaults = points[-1][1], panel["fieldConfig"]["defaults"]
        reached = [step["color"] for step in defaults["thresholds"]["steps"] if step["value"] is None or value >= step["value"]]
        colour = NAMED[reached[-1]]
        axes = self.axes(left + 1, top + height * 0.66, width - 2, height * 0.33 - 1)
        axes.axis("off")
        axes.fill_between([at for at, _ in points], [value for _, value in points], color=colour, alpha=0.18, linewidth=0)
        axes.set_ylim(0, max(1e-9, max(value for _, value in points)) * 1.05)
        axes.margins(x=0)
        self.text(left + width / 2, top + 40, written(value, defaults["unit"], defaults.get("decimals")), fontsize=15.5, fontweight="bold", color=colour, ha="center")

    def timeseries(self, panel, answer):
        from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

        left, top, width, height = self.box(panel["gridPos"])
        self.title(panel, left, top)
        lines, defaults = lines_of(answer), panel["fieldConfig"]["defaults"]
        names = [name for name, _ in lines]
        colours = colours_of(panel, names)
        bottom = 17 * self.legend_lines(names, width) + 30
        axes = self.axes(left + 80, top + 36, width - 94, height - 36 - bottom)
        times = sorted({at for _, points in lines for at in points})
        moments = [self.moment(at) for at in times]
        custom = defaults["custom"]
        stacked, bars = custom["stacking"]["mode"] == "normal", custom["drawStyle"] == "bars"
        below = [0.0] * len(times)
        for (name, points), colour in zip(lines, colours):
            values = [points.get(at, 0.0 if stacked else float("nan")) for at in times]
            if stacked:
                above = [low + value for low, value in zip(below, values)]
                axes.fill_between(moments, below, above, step="mid" if bars else None, color=colour, alpha=0.85 if bars else 0.45, linewidth=0)
                if not bars:
                    axes.plot(moments, above, color=colour, linewidth=1.2)
                below = above
            else:
                axes.plot(moments, values, color=colour, linewidth=1.6, drawstyle="steps-mid" if bars else "default")
                if len(lines) <= 3 or bars:
                    axes.fill_between(moments, values, step="mid" if bars else None, color=colour, alpha=0.15, linewidth=0)
        highest = max([0.0, *below, *(value for _, points in lines for value in points.values() if not stacked)])
        axes.set_ylim(0, highest * 1.12 if highest > 0 else 1)
        whole = defaults["unit"] == "short" and highest >= 1
        axes.yaxis.set_major_locator(MultipleLocator(max(1, round(highest / 4 / 2**20)) * 2**20) if defaults["unit"] == "bytes" and highest > 2**20
                                     else MaxNLocator(4, integer=whole))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: written(value, defaults["unit"])))
        self.time_axis(axes)
        self.legend(names, colours, left, top + height - bottom + 26, width)

    def heatmap(self, panel, answer):
        from matplotlib.ticker import FixedLocator

        left, top, width, height = self.box(panel["gridPos"])
        self.title(panel, left, top)
        cumulative = sorted(((float(one["metric"]["le"]), dict(map(tuple, one["values"]))) for _, series in answer for one in series), key=lambda one: one[0])
        times = sorted({at for _, points in cumulative for at in points})
        rows, before = [], [0.0] * len(times)
        for _, points in cumulative:
            values = [float(points.get(at, 0)) for at in times]
            rows.append([max(0.0, now - low) for now, low in zip(values, before)])
            before = values
        axes = self.axes(left + 80, top + 36, width - 94, height - 84)
        filled = [at for at, row in enumerate(rows) if any(row)]
        low, high = max(0, min(filled) - 1), min(len(rows), max(filled) + 2)
        highest = max(max(row) for row in rows)
        shown = [[value / highest if value else float("nan") for value in row] for row in rows[low:high]]
        edges = [*times, times[-1] + (times[-1] - times[0]) / max(1, len(times) - 1)]
        axes.pcolormesh([self.moment(at) for at in edges], range(high - low + 1), [[value ** 0.5 for value in row] for row in shown], cmap="Blues", vmin=0, vmax=1)
        self.time_axis(axes)
        axes.grid(False)
        axes.yaxis.set_major_locator(FixedLocator([at + 1 for at in range(0, high - low, 2)]))
        axes.set_yticklabels([written(cumulative[low + at][0], panel["fieldConfig"]["defaults"]["unit"]) if cumulative[low + at][0] != float("inf") else "more"
                              for at in range(0, high - low, 2)])
        self.text(left + 12, top + height - 24, f"checks in each bucket; the darkest has {written(highest, 'short')}", fontsize=10, color=FAINT)

    def bargauge(self, panel, answer):
        left, top, width, height = self.box(panel["gridPos"])
        self.title(panel, left, top)
        found = [(legend_of(target, one["metric"]), float(one["value"][1])) for target, series in answer for one in series]
        found = sorted((one for one in found if one[1] == one[1]), key=lambda one: -one[1])[:10]
        line = (height - 46) / max(len(found), 8)
        highest, unit = max([1e-9, *(value for _, value in found)]), panel["fieldConfig"]["defaults"]["unit"]
        label = min(width * 0.58, 20 + CHARACTER * max([1, *(len(name) for name, _ in found)]))
        axes = self.axes(left + label, top + 38, width - label - 92, line * max(1, len(found)))
        axes.barh(range(len(found)), [value for _, value in found], color=[PALETTE[at % len(PALETTE)] for at in range(len(found))], height=0.72)
        axes.set_xlim(0, highest)
        axes.set_ylim(len(found) - 0.5, -0.5)
        axes.axis("off")
        most = int((label - 20) / CHARACTER)
        for at, (name, value) in enumerate(found):
            middle = top + 38 + line * (at + 0.5) - 8
            self.text(left + 12, middle, name if len(name) <= most else name[:most - 1] + "…", fontsize=10.5)
            self.text(left + width - 12, middle, written(value, unit), fontsize=10.5, ha="right", color=TEXT)

    def table(self, panel, answer):
        left, top, width, height = self.box(panel["gridPos"])
        self.title(panel, left, top)
        names = panel["transformations"][0]["options"]["renameByName"]
        labels = [label for label in names if label != "Value"]
        unit = panel["fieldConfig"]["defaults"]["unit"]
        rows = [[one["metric"].get(label, "") for label in labels] + ([written(float(one["value"][1]), unit)] if "Value" in names else [])
                for _, series in answer for one in series][:7]
        heads = [names[label] for label in labels] + ([names["Value"]] if "Value" in names else [])
        longest = [max(len(str(row[at])) for row in [heads, *rows]) for at in range(len(heads))]
        starts = [left + 12 + (width - 24) * sum(longest[:at]) / sum(longest) for at in range(len(heads))]
        for at, head in enumerate(heads):
            self.text(starts[at], top + 40, head, fontsize=10.5, fontweight="bold", color=FAINT)
            most = int((width - 24) * longest[at] / sum(longest) / CHARACTER)
            for number, row in enumerate(rows):
                cell = row[at] if len(row[at]) <= most else row[at][:most - 1] + "…"
                self.text(starts[at], top + 64 + 23 * number, cell, fontsize=10.5)

    def row(self, panel, _):
        place = panel["gridPos"]
        self.text(GAP + 6, self.head + place["y"] * UNIT + 7, f"▾ {panel['title']}", fontsize=13.5, fontweight="bold")


def draw(dashboard, answers, start, end, path):
    install()
    page = Page(dashboard, start, end)
    page.text(GAP + 6, 12, dashboard["title"], fontsize=20, fontweight="bold")
    moments = [Page.moment(at).strftime("%Y-%m-%d %H:%M:%S") for at in (start, end)]
    page.text(page.width - GAP - 6, 14, f"{moments[0]} to {moments[1][11:]} UTC", fontsize=11, ha="right", color=FAINT)
    page.text(page.width - GAP - 6, 34, "drawn from dashboard.json and the answers of Prometheus; not a screenshot of Grafana", fontsize=11, ha="right", color=FAINT)
    for panel in dashboard["panels"]:
        getattr(page, panel["type"])(panel, answers.get(panel["id"]))
    save(page.figure, path)


def save(figure, path):
    """A PNG of few colours, which is a third of the size."""
    import io

    from PIL import Image

    whole = io.BytesIO()
    figure.savefig(whole, format="png", dpi=100)
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    # Beside it and then renamed, so that a run that is interrupted leaves the picture that was there.
    beside = target.with_name(f".{target.name}")
    Image.open(whole).convert("RGB").quantize(200, dither=Image.Dither.NONE).save(beside, format="png", optimize=True)
    beside.rename(target)
    print(f"{target}: {target.stat().st_size // 1024} KiB")
