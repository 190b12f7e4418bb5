"""What the model is worth on the test days: report.md and report.png."""

import datetime

import matplotlib

matplotlib.use('Agg')  # no screen
import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

DAY_MS = 86_400_000
INK, SOFT, LINE, SECOND = '#1f2933', '#9aa5b1', '#2563a8', '#c2702c'


POSITIVE = '(positive)'  # as in train.py


def measure(test, scores, args):
    alerts_a_day = args.alerts_a_day
    labels = test[POSITIVE].to_numpy()
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
    """Share of positives among the `depth` highest scores of each day."""
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
        'positives': int(rows[POSITIVE].sum()),
    }


def write(out, args, metrics, others, told, train, test, importance):
    draw(out / 'report.png', metrics)
    (out / 'report.md').write_text(text(args, metrics, others, told, part(train), part(test), importance))


SIMULATED = """
**The data are simulated**: the {positives} are those that the simulator was written to make, and their signs are in the
features. None of these numbers says anything about real data, where less is to be expected; they say that the chain from log
to features, training and serving works.
"""

CEILING = """
The ceiling is no model that could serve: the same trees, told also what only the simulator knows, and in part only afterwards
({told}). A model that sees the past alone stays below it.
"""


def text(args, metrics, others, told, train, test, importance):
    share = test['positives'] / test['rows']
    # The ceiling, if there is one, stands last, above what the model reaches.
    ceiling = others[-1:] if told else []
    ordered = [*(others[:-1] if told else others), ('**this model**', metrics), *ceiling]
    compared = '\n'.join(
        f'| {what} | {each["auc"]} | {each["averagePrecision"]} | {each["precisionAtAlertsADay"]} |'
        for what, each in ordered
    )
    alerts = metrics['alertsADay']
    a_day = test['positives'] / len(metrics['byDepth'][alerts])
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
{SIMULATED.format(positives=args.positives) if args.simulated else ''}
| part | from | to | rows | {args.positives} |
|---|---|---|---|---|
| training | {train['from']} | {train['to']} | {train['rows']} | {train['positives']} |
| test | {test['from']} | {test['to']} | {test['rows']} | {test['positives']} |

| ordered by | area under the ROC curve | average precision | precision at {alerts} alerts a day |
|---|---|---|---|
| chance | 0.5 | {share:.4f} | {share:.4f} |
{compared}
{CEILING.format(told=', '.join(told)) if told else ''}
A score of {metrics['thresholds']['alertsADay']} or more gave {alerts} alerts a day on average; of {args.positives} there were {a_day:.1f} a day.

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
