"""What the model is worth on the test days: report.md and report.png."""

import datetime

import matplotlib

matplotlib.use('Agg')  # no screen
import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

DAY_MS = 86_400_000
INK, SOFT, LINE, SECOND = '#1f2933', '#9aa5b1', '#2563a8', '#c2702c'


def measure(test, scores, alerts_a_day):
    labels = test['fraud'].to_numpy()
    days = ((test['ts'] - test['ts'].iloc[0]) // DAY_MS).to_numpy()
    depths = sorted({10, 20, 50, 100, 200, alerts_a_day})
    by_depth = {depth: precision_by_day(labels, scores, days, depth) for depth in depths}
    wanted = min(len(scores), alerts_a_day * len(set(days)))
    threshold = float(np.sort(scores)[-wanted])
    return {
        'auc': number(roc_auc_score(labels, scores)),
        'averagePrecision': number(average_precision_score(labels, scores)),
        'alertsADay': alerts_a_day,
        'precisionAtAlertsADay': number(np.mean(by_depth[alerts_a_day])),
        'thresholds': {'alertsADay': number(threshold)},
        'byDepth': by_depth,
        'fixed': [at_threshold(labels, scores, len(set(days)), at) for at in (0.5, 0.8, 0.95)],
        'labels': labels,
        'scores': scores,
    }


def precision_by_day(labels, scores, days, depth):
    """Share of fraud among the `depth` highest scores of each day."""
    shares = []
    for day in np.unique(days):
        of_day = np.flatnonzero(days == day)
        top = of_day[np.argsort(-scores[of_day], kind='stable')[:depth]]
        shares.append(float(labels[top].mean()))
    return shares


def at_threshold(labels, scores, days, at):
    taken = scores >= at
    return {
        'at': at,
        'alertsADay': float(taken.sum() / days),
        'precision': float(labels[taken].mean()) if taken.any() else None,
        'recall': float(labels[taken].sum() / labels.sum()),
    }


def part(rows):
    """Extent of a part of the data, for manifest and report."""
    return {
        'from': date(rows['ts'].iloc[0]),
        'to': date(rows['ts'].iloc[-1]),
        'rows': len(rows),
        'frauds': int(rows['fraud'].sum()),
    }


def write(out, metrics, train, test, importance):
    draw(out / 'report.png', metrics)
    (out / 'report.md').write_text(text(metrics, part(train), part(test), importance))


def text(metrics, train, test, importance):
    share = test['frauds'] / test['rows']
    alerts = metrics['alertsADay']
    depths = '\n'.join(
        f'| {depth} | {np.mean(shares):.3f} | {min(shares):.3f} – {max(shares):.3f} |'
        for depth, shares in metrics['byDepth'].items()
    )
    fixed = '\n'.join(
        f'| {row["at"]} | {row["alertsADay"]:.1f} | {"–" if row["precision"] is None else format(row["precision"], ".3f")} '
        f'| {row["recall"]:.3f} |'
        for row in metrics['fixed']
    )
    shares = '\n'.join(f'| {name} | {gain:.1%} |' for name, gain in importance)
    return f"""# What this model is worth

Written by `scripts/train`. Measured on days after the training, with a gap between them as long as labels are late.

| part | from | to | rows | frauds |
|---|---|---|---|---|
| training | {train['from']} | {train['to']} | {train['rows']} | {train['frauds']} |
| test | {test['from']} | {test['to']} | {test['rows']} | {test['frauds']} |

| measure | value | a random order gives |
|---|---|---|
| area under the ROC curve | {metrics['auc']} | 0.5 |
| average precision | {metrics['averagePrecision']} | {share:.4f} |
| precision at {alerts} alerts a day | {metrics['precisionAtAlertsADay']} | {share:.4f} |

A score of {metrics['thresholds']['alertsADay']} or more gave {alerts} alerts a day on average.

![Precision and recall; precision of the highest scores of a day](report.png)

## The highest scores of a day

| alerts a day | precision, mean of days | lowest – highest day |
|---|---|---|
{depths}

## Fixed thresholds

| score at least | alerts a day | precision | recall |
|---|---|---|---|
{fixed}

## What the trees use

| input | share of gain |
|---|---|
{shares}
"""


def draw(path, metrics):
    plt.rcParams.update({'font.size': 10, 'text.color': INK, 'axes.labelcolor': INK, 'axes.edgecolor': SOFT})
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4), layout='constrained')
    share = metrics['labels'].mean()
    precision, recall, _ = precision_recall_curve(metrics['labels'], metrics['scores'])
    left.plot(recall, precision, color=LINE, linewidth=2)
    left.axhline(share, color=SOFT, linestyle='--', linewidth=1)
    left.annotate(f'random order: {share:.3f}', (0, share), xytext=(6, 5), textcoords='offset points', color=INK)
    left.set(xlim=(0, 1), ylim=(0, 1.02), xlabel='recall', ylabel='precision')
    left.set_title(f'Precision and recall (average precision {metrics["averagePrecision"]})', loc='left')

    depths = list(metrics['byDepth'])
    for at, depth in enumerate(depths):
        shares = metrics['byDepth'][depth]
        right.plot([at] * len(shares), shares, 'o', color=SECOND, alpha=0.35, markersize=6, markeredgewidth=0)
    right.plot(range(len(depths)), [np.mean(metrics['byDepth'][depth]) for depth in depths], 'o-', color=LINE, linewidth=2)
    right.plot([], [], 'o', color=SECOND, alpha=0.5, label='one day')
    right.plot([], [], 'o-', color=LINE, label='mean of days')
    right.set(ylim=(0, 1.02), xlabel='alerts a day (highest scores)', ylabel='precision')
    right.set_xticks(range(len(depths)), depths)
    right.set_title('Precision of the highest scores of a day', loc='left')
    right.legend(frameon=False, loc='upper right')
    for axes in (left, right):
        axes.spines[['top', 'right']].set_visible(False)
        axes.grid(axis='y', color=SOFT, alpha=0.25)
    # No creation date inside, so that the same training gives the same file.
    figure.savefig(path, dpi=110, metadata={'Software': None})
    plt.close(figure)


def date(epoch_ms):
    return datetime.datetime.fromtimestamp(epoch_ms / 1000, datetime.timezone.utc).strftime('%Y-%m-%d')


def number(value):
    return round(float(value), 4)
