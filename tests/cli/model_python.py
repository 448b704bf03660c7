"""Compares calm's predictions with those of XGBoost's Python package.

usage: model_python.py MODEL_VALUES FOLDER

Trains small models of many kinds, saves each as .json and .ubj, predicts in
Python, and compares with what the program MODEL_VALUES writes, to 1e-6.
"""
import os
import subprocess
import sys

import numpy
import xgboost

ROWS, COLUMNS = 500, 12
TREE = {"max_depth": 4, "eta": 0.3, "nthread": 1}

# name: (parameters, kind of label, rounds)
KINDS = {
    "logistic": ({"objective": "binary:logistic"}, "binary", 30),
    "logitraw": ({"objective": "binary:logitraw"}, "binary", 30),
    "hinge": ({"objective": "binary:hinge"}, "binary", 10),
    "squared": ({"objective": "reg:squarederror"}, "value", 30),
    "squared_large": ({"objective": "reg:squarederror",
                       "base_score": 12345.0}, "large", 30),
    "reg_logistic": ({"objective": "reg:logistic"}, "binary", 20),
    "absolute": ({"objective": "reg:absoluteerror"}, "value", 20),
    "pseudo_huber": ({"objective": "reg:pseudohubererror"}, "value", 20),
    "gamma": ({"objective": "reg:gamma"}, "count", 20),
    "tweedie": ({"objective": "reg:tweedie"}, "count", 20),
    "poisson": ({"objective": "count:poisson"}, "count", 20),
    "softprob": ({"objective": "multi:softprob", "num_class": 4},
                 "classes", 15),
    "softmax": ({"objective": "multi:softmax", "num_class": 4},
                "classes", 15),
    "rank": ({"objective": "rank:pairwise"}, "rank", 20),
    "pruned": ({"objective": "reg:squarederror", "gamma": 5.0,
                "tree_method": "exact"}, "value", 30),
    "forest": ({"objective": "reg:squarederror", "num_parallel_tree": 5,
                "subsample": 0.5}, "value", 5),
    "dart": ({"booster": "dart", "objective": "reg:squarederror",
              "rate_drop": 0.3, "base_score": 12345.0}, "large", 20),
    "dart_classes": ({"booster": "dart", "objective": "multi:softprob",
                      "num_class": 4, "rate_drop": 0.3}, "classes", 10),
    "linear": ({"booster": "gblinear", "objective": "reg:squarederror"},
               "value", 20),
    "linear_classes": ({"booster": "gblinear",
                        "objective": "multi:softprob", "num_class": 4},
                       "classes", 20),
    "base_score": ({"objective": "binary:logistic", "base_score": 0.1},
                   "binary", 10),
    "one_round": ({"objective": "binary:logistic", "max_depth": 1},
                  "binary", 1),
    "hist": ({"objective": "reg:squarederror", "tree_method": "hist",
              "grow_policy": "lossguide", "max_leaves": 31}, "value", 20),
}


def make_data():
    random = numpy.random.RandomState(1)
    matrix = random.normal(size=(ROWS, COLUMNS)).astype(numpy.float32)
    matrix[random.uniform(size=matrix.shape) < 0.15] = numpy.nan
    matrix[0, :] = numpy.nan
    matrix[1, :3] = [1e15, -1e15, 1e-40]
    signal = numpy.nan_to_num(matrix[:, 0] * 2 + matrix[:, 1] ** 2, nan=0.5)
    signal = numpy.clip(signal, -5, 5)
    labels = {
        "value": signal,
        "large": 12345 + 1000 * signal,
        "binary": (signal > 0.5).astype(int),
        "classes": numpy.digitize(signal, [-1, 0.5, 2]),
        "count": numpy.floor(abs(signal)) + 1,
        "rank": (signal > 1).astype(int),
    }
    return matrix, labels


def calm_values(program, model, matrix, folder, *options):
    rows = os.path.join(folder, "matrix")
    values = os.path.join(folder, "values")
    matrix.tofile(rows)
    subprocess.run([program, model, rows, values, *options], check=True)
    return numpy.fromfile(values, dtype=numpy.float32)


def compare(name, got, expected):
    expected = numpy.asarray(expected, dtype=numpy.float32).ravel()
    if got.shape != expected.shape:
        raise SystemExit(f"{name}: {got.size} values, not {expected.size}")
    numpy.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6,
                                  err_msg=name)
    print(f"ok {name}: {got.size} values, "
          f"off by {numpy.max(abs(got - expected)):.1e} at most")


def check_kind(program, folder, name, matrix, labels):
    parameters, kind, rounds = KINDS[name]
    train = xgboost.DMatrix(matrix, labels[kind])
    if kind == "rank":
        train.set_group([50] * (ROWS // 50))
    booster = xgboost.train({**TREE, **parameters}, train, rounds)
    expected = booster.predict(xgboost.DMatrix(matrix))
    for form in "json", "ubj":
        path = os.path.join(folder, f"{name}.{form}")
        booster.save_model(path)
        compare(f"{name}.{form}",
                calm_values(program, path, matrix, folder), expected)


def check_early_stopping(program, folder, matrix, labels):
    train = xgboost.DMatrix(matrix[:300], labels["value"][:300])
    held = xgboost.DMatrix(matrix[300:], labels["value"][300:])
    booster = xgboost.train({"max_depth": 8, "eta": 1.0, "nthread": 1}, train, 60,
                            [(held, "held")], early_stopping_rounds=20,
                            verbose_eval=False)
    best = (0, booster.best_iteration + 1)
    assert best[1] < booster.num_boosted_rounds()
    data = xgboost.DMatrix(matrix)
    path = os.path.join(folder, "stopped.json")
    booster.save_model(path)
    everything = booster.predict(data)
    stopped = booster.predict(data, iteration_range=best)
    compare("stopped early, by Booster",
            calm_values(program, path, matrix, folder), everything)
    compare("stopped early, the best rounds",
            calm_values(program, path, matrix, folder, "best"), stopped)
    # What scikit-learn's interface writes into the models that it saves.
    booster.set_attr(scikit_learn="{}")
    booster.save_model(path)
    compare("stopped early, by scikit-learn",
            calm_values(program, path, matrix, folder), stopped)
    compare("stopped early, all rounds",
            calm_values(program, path, matrix, folder, "all"), everything)


def check_categories(program, folder, matrix, labels):
    random = numpy.random.RandomState(2)
    codes = matrix.copy()
    codes[:, 3] = random.randint(0, 12, ROWS)
    label = labels["value"] + codes[:, 3] % 3
    types = ["c" if i == 3 else "q" for i in range(COLUMNS)]

    def data(label=None):
        return xgboost.DMatrix(codes, label, feature_types=types,
                               enable_categorical=True)

    booster = xgboost.train({"tree_method": "hist", "max_cat_to_onehot": 4,
                             "nthread": 1},
                            data(label), 20)
    for form in "json", "ubj":
        path = os.path.join(folder, f"categories.{form}")
        booster.save_model(path)
        compare(f"categories.{form}",
                calm_values(program, path, codes, folder),
                booster.predict(data()))


def main():
    program, folder = sys.argv[1:]
    xgboost.set_config(verbosity=0)
    matrix, labels = make_data()
    print(f"XGBoost {xgboost.__version__}")
    for name in KINDS:
        check_kind(program, folder, name, matrix, labels)
    check_early_stopping(program, folder, matrix, labels)
    check_categories(program, folder, matrix, labels)


main()
