"""Gradient boosted trees on replayed features: writes a model directory that millrace loads.

Input: the CSV of `millrace replay --labels`: columns `id`, `ts` (event time, epoch ms), the model's inputs among others, and
`label` (0 or 1, false or true, or empty where nobody knows yet): a question with two answers. The features are those the service
computes, so training and serving cannot differ.

The split is by time, never at random: train | gap | test. The gap is as long as labels are late: whoever trains on a
given day does not know them yet for the days before.
"""

import argparse
import hashlib
import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import xgboost
import yaml
from sklearn.metrics import roc_auc_score
from onnxmltools import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType

import report

DAY_MS = 86_400_000
MODEL_BYTES_MAX = 1_000_000  # committed with the sources
GOLDEN_ROWS = 50
POSITIVE = '(positive)'  # in brackets, so that no feature has this name
# Other CPUs and versions of onnxruntime add up the trees in another order.
TOLERANCE = 1e-5
INPUT = 'features'

PARAMETERS = {
    'n_estimators': 150,
    'max_depth': 5,
    'learning_rate': 0.08,
    'min_child_weight': 5,
    'subsample': 0.8,
    'colsample_bytree': 0.8,
    'reg_lambda': 2.0,
    'objective': 'binary:logistic',
    'tree_method': 'hist',
    'random_state': 7,
    'n_jobs': 2,
}


def main():
    args = arguments()
    described = json.loads(pathlib.Path(args.describe).read_text())
    names = input_names(described)
    rows, told = read_features(args, names)
    train, test = split(rows, args)
    model = fitted(train, names)

    out = pathlib.Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    converted = convert(model, len(names), out / 'model.onnx')
    scores = check_conversion(model, converted, matrix(test, names))
    metrics = report.measure(test, scores, args)
    others = compare(args, names, told, train, test)

    write_manifest(out, args, described['vectorHash'], names, train, test, metrics)
    write_golden(out, matrix(test, names), scores)
    write_baseline(out, names, matrix(train, names), scores_of(converted, matrix(train, names)))
    report.write(out, args, metrics, others, told, train, test, importance(model, names))
    print(f'train: wrote {out} ({(out / "model.onnx").stat().st_size} bytes of model)')
    print(f'train: AUC {metrics["auc"]}, average precision {metrics["averagePrecision"]}', end='')
    print(f', precision at {args.alerts_a_day} alerts a day {metrics["precisionAtAlertsADay"]}')
    for what, each in others:
        print(f'train: {what}: AUC {each["auc"]}, average precision {each["averagePrecision"]}')


def fitted(train, columns):
    model = xgboost.XGBClassifier(**PARAMETERS)
    model.fit(matrix(train, columns), train[POSITIVE].to_numpy())
    return model


def compare(args, names, told, train, test):
    """What simple orders reach, and what the same trees do when they are told the truth: the room between is the model's."""
    simple = args.baseline or best_alone(train, names)
    others = []
    for name in simple:
        sign = direction(train, name)
        what = f'only {name}' + (', the lower the worse' if sign < 0 else '')
        others.append((what, report.measure(test, sign * test[name].to_numpy(np.float64), args)))
    if told:
        model = fitted(train, [*names, *told])
        scores = model.predict_proba(matrix(test, [*names, *told]))[:, 1].astype(np.float64)
        others.append(('the ceiling: the same trees, told the truth too', report.measure(test, scores, args)))
    return others


def best_alone(train, names):
    """The two inputs that alone order the training rows best."""
    return sorted(names, key=lambda name: -abs(alone(train, name) - 0.5))[:2]


def direction(train, name):
    return 1 if alone(train, name) >= 0.5 else -1


def alone(train, name):
    return roc_auc_score(train[POSITIVE], train[name])


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('features', help='CSV of replayed features with labels')
    parser.add_argument('--describe', required=True, help='output of `millrace describe -o json`: vector hash and inputs in order')
    parser.add_argument('--out', default='models/card-fraud/1', help='NAME/VERSION folder (default: %(default)s)')
    parser.add_argument('--gap-days', type=float, default=7, help='days left out before the test (default: %(default)s)')
    parser.add_argument('--test-days', type=float, default=7, help='days at the end kept for the test (default: %(default)s)')
    parser.add_argument('--skip-days', type=float, default=0, help='first days left out, windows still empty (default: %(default)s)')
    parser.add_argument('--alerts-a-day', type=int, default=100, help='what investigators can look at (default: %(default)s)')
    parser.add_argument('--label', default='label', help='column with the answer, 0 or 1 (default: %(default)s)')
    parser.add_argument('--positive', metavar='VALUE', help='label that counts as 1, all others as 0: for labels in words')
    parser.add_argument('--positives', help='what rows with label 1 are called in the report (default: the value of --positive, the name of the label column, or "positives")')
    parser.add_argument('--baseline', action='append', default=[], metavar='INPUT',
                        help='input whose order alone the model is compared with, repeatable (default: the two best in training)')
    parser.add_argument('--simulated', action='store_true', help='say in the report that the data are simulated')
    parser.add_argument('--truth', metavar='CSV',
                        help='`id` and what only the simulator knows: the report says what the same trees reach when told that, the ceiling')
    args = parser.parse_args()
    args.positives = args.positives or args.positive or ('positives' if args.label == 'label' else args.label)
    return args


def read_features(args, names):
    """The rows that can be trained on, with a column POSITIVE; and the names of the columns that tell the truth."""
    rows = pd.read_csv(args.features)
    lacking = [name for name in ('id', 'ts', args.label, *names, *args.baseline) if name not in rows.columns]
    if lacking:
        fail(f'{args.features} lacks the columns {", ".join(lacking)}; it has {", ".join(rows.columns)}. '
             'Replay it again with the topology of --describe, with --labels SOURCE.FIELD, or name the column: --label')
    if args.label in names:
        fail(f'{args.label} is the label and an input of the model: it would be told the answer. Take it out of model.inputs')
    answers = answers_of(rows, args)
    labelled = answers.notna()
    if not labelled.all():
        print(f'train: {(~labelled).sum()} of {len(rows)} rows have no label yet and are left out', file=sys.stderr)
    told = []
    if args.truth:
        truth = pd.read_csv(args.truth)
        told = [name for name in truth.columns if name != 'id']
        rows = rows.merge(truth, on='id', how='left', validate='many_to_one')
    # The service dead-letters a record with a missing input, so no such row reaches the model there either.
    complete = np.isfinite(rows[names].to_numpy(np.float64)).all(axis=1)
    if not complete.all():
        print(f'train: {(~complete).sum()} of {len(rows)} rows have a missing input and are left out', file=sys.stderr)
    kept = rows[complete & labelled].assign(**{POSITIVE: answers[complete & labelled].astype(int)})
    if len(kept) == 0:
        fail(f'none of the {len(rows)} rows of {args.features} has a label and all inputs: are the labels published, with the ids '
             'of the scored events?')
    return kept.sort_values('ts', kind='stable').reset_index(drop=True), told


def answers_of(rows, args):
    """1, 0 or nothing. Other numbers and text are a question that two classes do not answer."""
    if args.positive is not None:
        found = rows[args.label].astype(str).str.strip() == args.positive
        if not found.any():
            fail(f'no label in the column {args.label} of {args.features} is {args.positive}')
        return found.astype(float).where(rows[args.label].notna())
    words = rows[args.label].map(lambda value: {'true': 1, 'false': 0}.get(str(value).strip().lower(), value))
    answers = pd.to_numeric(words, errors='coerce')
    odd = rows[args.label][rows[args.label].notna() & ~answers.isin([0, 1])]
    if len(odd) > 0:
        seen = ', '.join(str(value) for value in odd.unique()[:3])
        fail(f'{len(odd)} of {len(rows)} labels in the column {args.label} of {args.features} are neither 0 nor 1 (such as {seen}). '
             'This trains a model of two classes and no regression. Replay a field that says yes or no, or add a column that does, '
             'such as `amount_lost > 100`, and name it: --label COLUMN; of labels in words say which counts: --positive VALUE. A model of another kind is trained with its own script on '
             'the same CSV; README.md, "Your model", says what the service needs of it')
    return answers


def input_names(describe):
    """The model's inputs in order, as `millrace describe -o json` prints them."""
    return [name for each in describe['model']['inputs'] for name in each['features']]


def split(rows, args):
    gap_days, test_days, skip_days = args.gap_days, args.test_days, args.skip_days
    first, end = rows['ts'].iloc[0], rows['ts'].iloc[-1] + 1
    test_from = end - test_days * DAY_MS
    train_to = test_from - gap_days * DAY_MS
    train = rows[(rows['ts'] >= first + skip_days * DAY_MS) & (rows['ts'] < train_to)]
    test = rows[rows['ts'] >= test_from]
    for part, what in ((train, 'training'), (test, 'test')):
        if len(part) == 0 or part[POSITIVE].nunique() < 2:
            days = (end - first) / DAY_MS
            fail(f'the {what} part has {len(part)} rows, {part[POSITIVE].sum()} of them {args.positives}, and needs some of both '
                 f'kinds; the data spans {days:.1f} days '
                 f'(--skip-days {skip_days}, --gap-days {gap_days}, --test-days {test_days})')
    return train, test


def matrix(rows, names):
    """As the model gets them: float32."""
    return rows[names].to_numpy(np.float32)


def convert(model, width, path):
    types = [(INPUT, FloatTensorType([None, width]))]
    # Without a name the graph gets a random one, and the same training another digest.
    converted = convert_xgboost(model, name=INPUT, initial_types=types, target_opset=15)
    content = converted.SerializeToString()
    if len(content) > MODEL_BYTES_MAX:
        fail(f'the model has {len(content)} bytes, more than {MODEL_BYTES_MAX}: fewer or shallower trees')
    onnx.checker.check_model(converted)
    path.write_bytes(content)
    return onnxruntime.InferenceSession(content, providers=['CPUExecutionProvider'])


def scores_of(session, values):
    return session.run(['probabilities'], {INPUT: values})[0][:, 1].astype(np.float64)


def check_conversion(model, session, values):
    scores = scores_of(session, values)
    apart = float(np.abs(scores - model.predict_proba(values)[:, 1]).max())
    if apart > TOLERANCE:
        fail(f'the ONNX model scores otherwise than the trained one, by up to {apart}')
    return scores


def write_manifest(out, args, vector_hash, names, train, test, metrics):
    manifest = {
        'name': out.resolve().parent.name,
        'version': out.resolve().name,
        'digest': sha256(out / 'model.onnx'),
        'vectorHash': vector_hash,
        'inputs': [
            {
                'name': INPUT,
                'type': 'float32',
                'features': [
                    {'name': name, 'range': [float(train[name].min()), float(train[name].max())]} for name in names
                ],
            }
        ],
        'score': {'output': 'probabilities', 'column': 1},
        'thresholds': metrics['thresholds'],
        'training': {
            'data': {'file': pathlib.Path(args.features).name, 'digest': sha256(args.features), 'simulated': args.simulated},
            'positives': args.positives,
            'train': report.part(train),
            'gapDays': args.gap_days,
            'test': report.part(test),
            'algorithm': f'xgboost {xgboost.__version__}, gradient boosted trees',
            'parameters': PARAMETERS,
        },
        'metrics': {key: metrics[key] for key in ('auc', 'averagePrecision', 'precisionAtAlertsADay', 'alertsADay')},
    }
    text = '# Written by scripts/train; compared with topology and model when the service loads it.\n'
    (out / 'manifest.yaml').write_text(text + yaml.safe_dump(manifest, sort_keys=False, default_flow_style=None, width=110))


def write_golden(out, values, scores):
    """Rows from the lowest to the highest score, so that every part of the model is touched."""
    order = np.argsort(scores, kind='stable')
    picked = order[np.unique(np.linspace(0, len(order) - 1, GOLDEN_ROWS).astype(int))]
    write_json(out / 'golden.json', {
        'inputs': {INPUT: [[float(value) for value in values[row]] for row in picked]},
        'scores': [float(scores[row]) for row in picked],
        'tolerance': TOLERANCE,
    })


def write_baseline(out, names, values, scores):
    medians = np.median(values, axis=0)
    write_json(out / 'baseline.json', {
        'medians': {name: float(medians[i]) for i, name in enumerate(names)},
        'features': {name: histogram(values[:, i]) for i, name in enumerate(names)},
        'score': counted(scores, np.linspace(0, 1, 21)),
    })


def histogram(values):
    """A bin for each of few values (flags, small counts), else about twenty of equal count: drift shows in either."""
    distinct = np.unique(values.astype(np.float64))
    if len(distinct) <= 20:
        between = (distinct[:-1] + distinct[1:]) / 2
        return counted(values, np.concatenate([[distinct[0] - 0.5], between, [distinct[-1] + 0.5]]))
    return counted(values, np.unique(np.quantile(values.astype(np.float64), np.linspace(0, 1, 21))))


def counted(values, edges):
    counts, _ = np.histogram(values, edges)
    return {'edges': [float(edge) for edge in edges], 'counts': [int(count) for count in counts]}


def importance(model, names):
    gain = model.get_booster().get_score(importance_type='total_gain')
    total = sum(gain.values())
    shares = [(name, gain.get(f'f{i}', 0) / total) for i, name in enumerate(names)]
    return sorted(shares, key=lambda share: -share[1])


def write_json(path, content):
    """One line a row of numbers, so that a change can be read."""
    text = json.dumps(content, separators=(',', ':'), allow_nan=False)
    path.write_text(text.replace('],[', '],\n[').replace('},"', '},\n"') + '\n')


def sha256(path):
    return 'sha256:' + hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def fail(text):
    sys.exit(f'train: {text}')


if __name__ == '__main__':
    main()
