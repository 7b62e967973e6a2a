"""Trains the behavioural scorecard on the real firms of `vat-invoices` and writes the model document and its card.

    python -m risk_service.rating.train --data DIR            train, cross-validate, print the card, write both files
    python -m risk_service.rating.train --data DIR --dry-run  the same without writing

The same data, seed and code give the same bytes. The bank's own A–D rating is never read. numpy is needed here and
nowhere else in the service.
"""

import argparse
import csv
import gzip
import json
import math
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk_service.rating.scorecard import (
    CURRENT_MODEL,
    FACTORS,
    MEANING,
    MODELS,
    WINDOW_MONTHS,
    InvoiceRow,
    RowKind,
    behaviour,
    factor_values,
    parse_model,
    score,
)

Floats = NDArray[np.float64]
OBSERVED = date(2020, 2, 29)
CURRENCY = "CNY"
SEED = 20260101
FOLDS, REPEATS, BOOTSTRAPS = 5, 100, 4000
MOST_BINS, SMALLEST_BIN, SMOOTHING, L2 = 4, 0.12, 0.5, 1.0
PDO, BASE_SCORE, BASE_ODDS = 20, 600, 50
SCALE = [
    ("G1", "0.0010", "0.0005"),
    ("G2", "0.0025", "0.0016"),
    ("G3", "0.0060", "0.0039"),
    ("G4", "0.0150", "0.0095"),
    ("G5", "0.0350", "0.0230"),
    ("G6", "0.0800", "0.0530"),
    ("G7", "0.1600", "0.1130"),
    ("G8", "0.3200", "0.2260"),
    ("G9", "1.0000", "0.5000"),
]


@dataclass(frozen=True)
class Sample:
    """Firms with enough history: names, factor values (firms × factors), defaulted (1.0) or not; who was left out."""

    names: list[str]
    values: Floats
    bad: Floats
    left_out: list[tuple[str, bool]]


def read(folder: Path) -> Sample:
    """Factor values of every firm as of the end of the record, by the very functions the service scores with."""
    with (folder / "clients.csv").open(encoding="utf-8") as file:
        defaulted = {row["client"]: row["defaulted"] == "True" for row in csv.DictReader(file)}
    rows: dict[str, list[InvoiceRow]] = defaultdict(list)
    with gzip.open(folder / "sales.csv.gz", "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            gross = Decimal(row["gross"])
            kind = RowKind.VOID if row["status"] == "void" else RowKind.SALE if gross > 0 else RowKind.CREDIT
            rows[row["client"]].append(InvoiceRow(kind, date.fromisoformat(row["date"]), row["debtor"], abs(gross)))
    names: list[str] = []
    values: list[list[float]] = []
    left_out: list[tuple[str, bool]] = []
    for name in sorted(defaulted):
        facts = behaviour(rows[name], OBSERVED)
        if facts.sufficient:
            names.append(name)
            values.append([float(v) for v in factor_values(facts).values()])
        else:
            left_out.append((name, defaulted[name]))
    return Sample(names, np.array(values), np.array([float(defaulted[n]) for n in names]), left_out)


def woe_bins(values: Floats, bad: Floats) -> tuple[list[float], list[float]]:
    """Quantile bins merged until the default rate is monotone: (inner bounds, WoE per bin)."""
    quantiles = np.quantile(values, np.linspace(0, 1, MOST_BINS + 1)[1:-1])
    bounds = sorted({round(float(q), 4) for q in quantiles if values.min() < q <= values.max()})

    def table(edges: list[float]) -> tuple[Floats, Floats]:
        place = np.digitize(values, edges)
        return (
            np.array([bad[place == i].sum() for i in range(len(edges) + 1)]),
            np.array([(place == i).sum() for i in range(len(edges) + 1)], dtype=np.float64),
        )

    rising = np.corrcoef(values, bad)[0, 1] >= 0
    while bounds:
        bads, counts = table(bounds)
        small = int(counts.argmin())
        if counts[small] < SMALLEST_BIN * len(values):
            bounds.pop(min(small, len(bounds) - 1))
            continue
        rate = bads / counts
        wrong = [i for i in range(len(bounds)) if (rate[i + 1] <= rate[i] if rising else rate[i + 1] >= rate[i])]
        if not wrong:
            break
        bounds.pop(min(wrong, key=lambda i: abs(rate[i + 1] - rate[i])))
    bads, counts = table(bounds)
    goods = counts - bads
    share_good = (goods + SMOOTHING) / (goods.sum() + SMOOTHING * len(goods))
    share_bad = (bads + SMOOTHING) / (bads.sum() + SMOOTHING * len(bads))
    return bounds, [round(float(w), 6) for w in np.log(share_good / share_bad)]


def fit_weights(woe: Floats, bad: Floats) -> tuple[float, Floats]:
    """Logistic regression of *good* on WoE with L2 and weights ≥ 0 (a factor never works against its own WoE)."""
    good = 1 - bad
    weights = np.zeros(woe.shape[1])
    intercept = math.log(good.sum() / bad.sum())
    lipschitz = 0.25 * float(np.linalg.eigvalsh(woe.T @ woe).max() + len(bad)) + L2
    for _ in range(4000):
        error = good - 1 / (1 + np.exp(-(intercept + woe @ weights)))
        step = (woe.T @ error - L2 * weights) / lipschitz
        moved = np.maximum(0, weights + step)
        shift = float(error.sum()) / lipschitz
        change = max(float(np.abs(moved - weights).max()), abs(shift))
        weights, intercept = moved, intercept + shift
        if change < 1e-9:
            break
    return intercept, weights


@dataclass(frozen=True)
class Fitted:
    """Bins and weights fitted on some firms, able to score others."""

    bins: list[tuple[list[float], list[float]]]
    intercept: float
    weights: Floats

    def log_odds(self, values: Floats) -> Floats:
        """ln(odds of not defaulting) per firm."""
        return self.intercept + transform(self.bins, values) @ self.weights


def transform(bins: list[tuple[list[float], list[float]]], values: Floats) -> Floats:
    """Raw values → WoE, column by column."""
    return np.column_stack([np.array(w)[np.digitize(values[:, j], b)] for j, (b, w) in enumerate(bins)])


def fit(values: Floats, bad: Floats) -> Fitted:
    """Bins and weights together, on these firms only."""
    bins = [woe_bins(values[:, j], bad) for j in range(values.shape[1])]
    intercept, weights = fit_weights(transform(bins, values), bad)
    return Fitted(bins, intercept, weights)


def auc(risk: Floats, bad: Floats) -> float:
    """P(a defaulter looks riskier than a survivor), ties one half."""
    high, low = risk[bad == 1], risk[bad == 0]
    return float(((high[:, None] > low).sum() + 0.5 * (high[:, None] == low).sum()) / (len(high) * len(low)))


def delong(risk: Floats, bad: Floats) -> tuple[float, float]:
    """AUC and its standard error (DeLong, DeLong & Clarke-Pearson 1988)."""
    high, low = risk[bad == 1], risk[bad == 0]
    wins = (high[:, None] > low) + 0.5 * (high[:, None] == low)
    variance = wins.mean(axis=1).var(ddof=1) / len(high) + wins.mean(axis=0).var(ddof=1) / len(low)
    return float(wins.mean()), math.sqrt(float(variance))


def cross_validate(sample: Sample) -> dict[str, Any]:
    """Out-of-sample figures by repeated stratified k-fold, bins re-fitted inside every fold."""
    rng = np.random.default_rng(SEED)
    bad = sample.bad
    out = np.zeros((REPEATS, len(bad)))
    for repeat in range(REPEATS):
        fold = np.zeros(len(bad), dtype=np.int64)
        for group in (0.0, 1.0):
            members = rng.permutation(np.flatnonzero(bad == group))
            fold[members] = np.arange(len(members)) % FOLDS
        for k in range(FOLDS):
            test = fold == k
            out[repeat, test] = -fit(sample.values[~test], bad[~test]).log_odds(sample.values[test])
    repeats = np.array([auc(row, bad) for row in out])
    risk = out.mean(axis=0)
    area, error = delong(risk, bad)
    draws: list[float] = []
    goods, bads = np.flatnonzero(bad == 0), np.flatnonzero(bad == 1)
    for _ in range(BOOTSTRAPS):
        chosen = np.concatenate([rng.choice(goods, len(goods)), rng.choice(bads, len(bads))])
        draws.append(auc(risk[chosen], bad[chosen]))
    pd = 1 / (1 + np.exp(-risk))
    thresholds = np.unique(risk)
    ks = max(float((risk[bad == 1] >= t).mean() - (risk[bad == 0] >= t).mean()) for t in thresholds)
    size = int(np.flatnonzero(np.array(list(FACTORS)) == "gross_sales_log10")[0])
    return {
        "folds": FOLDS,
        "repeats": REPEATS,
        "auc_mean_of_repeats": round(float(repeats.mean()), 4),
        "auc_lowest_repeat": round(float(repeats.min()), 4),
        "auc_highest_repeat": round(float(repeats.max()), 4),
        "auc_of_averaged_scores": round(area, 4),
        "auc_delong_95": [round(area - 1.96 * error, 4), round(min(1.0, area + 1.96 * error), 4)],
        "auc_bootstrap_95": [round(float(q), 4) for q in np.quantile(draws, [0.025, 0.975])],
        "ks": round(ks, 4),
        "brier": round(float(((pd - bad) ** 2).mean()), 4),
        "brier_of_base_rate": round(float(bad.mean() * (1 - bad.mean())), 4),
        "auc_of_size_alone": round(auc(-sample.values[:, size], bad), 4),
    }


def document(sample: Sample, fitted: Fitted, validation: dict[str, Any]) -> dict[str, Any]:
    """The model document: WoE weights turned into points; the base points take the intercept."""
    factor = PDO / math.log(2)
    offset = BASE_SCORE - factor * math.log(BASE_ODDS)
    factors: dict[str, list[dict[str, Any]]] = {}
    ivs: dict[str, float] = {}
    for j, name in enumerate(FACTORS):
        bounds, woes = fitted.bins[j]
        weight = float(fitted.weights[j])
        if weight <= 1e-6 or not bounds:
            continue
        place = np.digitize(sample.values[:, j], bounds)
        rows: list[dict[str, Any]] = []
        iv = 0.0
        for i, woe in enumerate(woes):
            inside = place == i
            firms, defaults = int(inside.sum()), int(sample.bad[inside].sum())
            good = (firms - defaults) / (1 - sample.bad).sum()
            iv += float(good - defaults / sample.bad.sum()) * woe
            below = str(bounds[i]) if i < len(bounds) else None
            rows.append(
                {
                    "below": below,
                    "woe": str(woe),
                    "points": str(round(factor * weight * woe, 2)),
                    "firms": firms,
                    "defaults": defaults,
                }
            )
        factors[name] = rows
        ivs[name] = round(iv, 4)
    return {
        "version": CURRENT_MODEL,
        "kind": "behavioural scorecard (WoE logistic regression, L2, weights ≥ 0)",
        "currency": CURRENCY,
        "observed_at": OBSERVED.isoformat(),
        "window_months": WINDOW_MONTHS,
        "sample": {"firms": len(sample.names), "defaults": int(sample.bad.sum()), "left_out": len(sample.left_out)},
        "scaling": {
            "pdo": PDO,
            "base_score": BASE_SCORE,
            "base_odds": BASE_ODDS,
            "factor": str(round(factor, 6)),
            "offset": str(round(offset, 6)),
        },
        "base_points": str(round(offset + factor * fitted.intercept, 2)),
        "factors": factors,
        "information_value": ivs,
        "master_scale": [{"grade": g, "upper": u, "pd": p} for g, u, p in SCALE],
        "validation": validation,
    }


def card(doc: dict[str, Any], sample: Sample) -> str:
    """The model card in Markdown."""
    v, s = doc["validation"], doc["sample"]
    lowest_highest = f"({v['auc_lowest_repeat']} – {v['auc_highest_repeat']})"
    boot = v["auc_bootstrap_95"]
    told = [f"{name} {'defaulted' if bad else 'did not default'}" for name, bad in sample.left_out]
    left_out = ", ".join(told) or "none"
    out = [
        f"# Model card: {doc['version']}",
        "",
        "Written by `python -m risk_service.rating.train --data DIR`, DIR being the folder `vat-invoices`"
        " (clients.csv, sales.csv.gz). The same data give this page byte for byte.",
        "",
        "**Purpose.** A first rating of sellers from how they invoice, where there are no accounts yet."
        " It supports a risk officer's decision; it does not take it.",
        "",
        f"**Sample.** {s['firms']} real Chinese small firms, {s['defaults']} later defaulted; observed"
        f" {doc['observed_at']}, window {doc['window_months']} months. {s['left_out']} firm(s) with sales in fewer than"
        " 3 months were left out (" + left_out + ")."
        " The bank's own A–D rating is not read.",
        "",
        f"**Out of sample.** {v['repeats']} × stratified {v['folds']}-fold cross-validation, bins and weights fitted"
        " again inside every fold:",
        "",
        "| figure | value |",
        "|---|---|",
        f"| AUC, mean of repeats (lowest – highest) | {v['auc_mean_of_repeats']} {lowest_highest} |",
        f"| AUC of scores averaged over repeats | {v['auc_of_averaged_scores']} |",
        f"| its 95 % interval, DeLong | {v['auc_delong_95'][0]} – {v['auc_delong_95'][1]} |",
        f"| its 95 % interval, bootstrap over firms ({BOOTSTRAPS} draws) | {boot[0]} – {boot[1]} |",
        f"| Gini | {round(2 * v['auc_of_averaged_scores'] - 1, 4)} |",
        f"| KS | {v['ks']} |",
        f"| Brier (base rate alone) | {v['brier']} ({v['brier_of_base_rate']}) |",
        f"| AUC of gross sales alone, for comparison | {v['auc_of_size_alone']} |",
        "",
        "**Scaling.** "
        f"{doc['scaling']['base_score']} points at odds {doc['scaling']['base_odds']}:1,"
        f" {doc['scaling']['pdo']} points double the odds;"
        f" score = {doc['base_points']} + Σ points.",
        "",
    ]
    for name, rows in doc["factors"].items():
        out += [
            f"### {name} (IV {doc['information_value'][name]})",
            f"{MEANING[name]}.",
            "",
            "| value below | firms | defaults | WoE | points |",
            "|---|---|---|---|---|",
        ]
        out += [
            f"| {r['below'] or '∞'} | {r['firms']} | {r['defaults']} | {r['woe']} | {r['points']} |" for r in rows
        ] + [""]
    dropped = [name for name in FACTORS if name not in doc["factors"]]
    out += [
        f"Considered, given no weight: {', '.join(dropped) or 'none'}.",
        "",
        "### Master scale",
        "| grade | PD up to | PD of the grade |",
        "|---|---|---|",
        *[f"| {g['grade']} | {g['upper']} | {g['pd']} |" for g in doc["master_scale"]],
        "| D | in default | 1 |",
        "",
        "**Limits, honestly.**",
        f"- {s['defaults']} defaults are few: the interval is wide, and single bins rest on one or two defaulters.",
        f"- PDs are those of a sample with {s['defaults'] / s['firms']:.1%} defaults, chosen by a contest's"
        " organiser; a portfolio with another default rate needs recalibration before the PD is used for pricing or"
        " ECL. Ranks carry over, levels do not.",
        "- Size dominates: a small firm scores low whatever it does. Amounts are CNY; other currencies are refused.",
        "- A seller whose receivables we see only in part (assignment of some debtors) looks smaller and more"
        " concentrated than it is.",
        "- When the default happened is unknown, so the horizon is too; it is taken as one year without proof.",
        "- Candidate factors were listed before fitting, but by people who know what usually works on such data;"
        " cross-validation cannot see that choice.",
        f"- Gross sales alone rank these firms as well (AUC {v['auc_of_size_alone']}): the other factors explain and"
        " spread the score; this sample cannot show that they add power.",
        "",
    ]
    return "\n".join(out)


def train(folder: Path) -> tuple[dict[str, Any], str]:
    """Model document and card from the data folder."""
    sample = read(folder)
    doc = document(sample, fit(sample.values, sample.bad), cross_validate(sample))
    model = parse_model(doc)
    risk = np.array(
        [
            -float(score(model, {n: Decimal(str(v)) for n, v in zip(FACTORS, row, strict=True)}).score)
            for row in sample.values.tolist()
        ]
    )
    doc["validation"]["auc_in_sample"] = round(auc(risk, sample.bad), 4)
    return doc, card(doc, sample)


def main(argv: Sequence[str] | None = None) -> None:
    """Train, print the card, write the model and the card unless told not to."""
    parser = argparse.ArgumentParser(prog="python -m risk_service.rating.train", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with clients.csv and sales.csv.gz")
    parser.add_argument("--dry-run", action="store_true", help="print only")
    arguments = parser.parse_args(argv)
    doc, text = train(arguments.data)
    sys.stdout.write(text)
    if not arguments.dry_run:
        MODELS.mkdir(exist_ok=True)
        (MODELS / f"{CURRENT_MODEL}.json").write_text(json.dumps(doc, ensure_ascii=False, indent=1) + "\n", "utf-8")
        (MODELS / f"{CURRENT_MODEL}.md").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
