"""Rows a second from CSV to CSV with pandas and xgboost.

In the folder that bench_predict.c has filled: the script that people write.
Starting Python and importing the two is not counted.
"""

import sys
import time

import numpy as np
import pandas as pd
import xgboost as xgb


def main():
    start = time.perf_counter()
    booster = xgb.Booster(model_file="model.json")
    rows = pd.read_csv("rows.csv")
    answers = booster.inplace_predict(rows.drop(columns="id").to_numpy(
        dtype=np.float32))
    pd.DataFrame({
        "id": rows["id"],
        "prediction": answers,
        "label": (answers > 0.5).astype(int),
    }).to_csv("pandas.csv", index=False)
    print(f"predict_pandas\t{len(rows) / (time.perf_counter() - start):.6g}")


if __name__ == "__main__":
    sys.exit(main())
