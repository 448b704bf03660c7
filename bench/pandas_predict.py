"""What `calm predict` does, by pandas and XGBoost's Python package.

usage: pandas_predict.py INPUT.csv MODEL OUTPUT.csv

The first column is the id, the others are the features. Prints rows/s, from
reading to writing, without the imports and without loading the model.
"""
import sys
import time

import pandas
import xgboost

source, model, target = sys.argv[1:]
booster = xgboost.Booster(model_file=model)
start = time.perf_counter()
rows = pandas.read_csv(source)
prediction = booster.predict(xgboost.DMatrix(rows.iloc[:, 1:]))
pandas.DataFrame({
    rows.columns[0]: rows.iloc[:, 0],
    "prediction": prediction,
    "label": (prediction > 0.5).astype(int),
}).to_csv(target, index=False)
print(round(len(rows) / (time.perf_counter() - start)))
