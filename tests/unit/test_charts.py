"""Charts of model quality: what is drawn, said, and left out."""

from __future__ import annotations

import inspect

import pandas as pd
import pytest

from turbine_health.reporting import charts

SAMPLE = pd.DataFrame({"actual_days": [10.0, 20.0, 30.0], "predicted_days": [12.0, 19.0, 35.0]})


def test_the_confusion_matrix_shows_counts_and_shares_of_what_happened():
    cells = charts.confusion_matrix(tn=90, fp=10, fn=1, tp=3).data[0]
    assert cells.z.tolist() == [[0.9, 0.1], [0.25, 0.75]]
    assert cells.text[1][1] == "<b>3</b><br>75.0%"


def test_the_confusion_matrix_of_a_test_part_without_failures_has_no_division_by_zero():
    assert charts.confusion_matrix(tn=5, fp=0, fn=0, tp=0).data[0].z.tolist() == [[1, 0], [0, 0]]


def test_the_roc_curve_draws_the_points_it_is_given_and_says_the_area():
    points = pd.DataFrame({"false_positive_rate": [0.0, 0.2, 1.0], "true_positive_rate": [0.0, 0.9, 1.0]})
    drawing = charts.roc_curve(points, auc=0.85)
    assert list(drawing.data[1].y) == [0.0, 0.9, 1.0]
    assert "AUC 0.850" in drawing.layout.title.text


def test_the_error_distribution_marks_the_mean_error():
    annotations = charts.error_distribution(SAMPLE).layout.annotations
    assert [note.text for note in annotations] == ["mean +2.0 d"]


@pytest.mark.parametrize("chart", [charts.predictions_scatter, charts.error_distribution])
def test_a_chart_without_rows_says_why_it_is_empty(chart):
    assert chart(SAMPLE.head(0)).layout.annotations[0].text == "no failure was observed in the test part"


def test_warning_times_count_the_failures_that_nobody_announced():
    drawing = charts.lead_times(pd.DataFrame({"lead_time_days": [2.0, 5.0, None]}))
    assert drawing.layout.title.text == "Warning time: 2 of 3 failures announced"
    assert list(drawing.data[0].x) == [2.0, 5.0]


def test_importance_lists_the_largest_first_from_the_top():
    table = pd.DataFrame({"feature": ["small", "large", "middle"], "importance": [0.1, 0.6, 0.3]})
    assert list(charts.importance(table, top=2).data[0].y) == ["middle", "large"]


def test_a_name_from_the_data_is_no_markup_in_a_figure():
    table = pd.DataFrame({"group": ["<b>T07</b>"], "value": [0.5], "rows": [10]})
    assert list(charts.metric_by_group(table, group="turbine", metric="recall").data[0].y) == ["&lt;b&gt;T07&lt;/b&gt;"]


def test_of_many_groups_the_first_are_drawn_and_the_title_says_so():
    table = pd.DataFrame({"group": [f"T{number:03d}" for number in range(50)], "value": range(50), "rows": 1})
    drawing = charts.metric_by_group(table, group="turbine", metric="false alarms")
    assert (drawing.data[0].y[0], drawing.data[0].y[-1]) == ("T000", "T039")
    assert drawing.layout.title.text == "False alarms by turbine (40 of 50)"


def test_a_long_reason_for_an_empty_chart_is_told_in_full():
    drawing = charts.metric_by_group(
        pd.DataFrame({"group": ["a"], "value": [None], "rows": [0]}), group="failure mode", metric="share of failures announced"
    )
    said = drawing.layout.annotations[0].text.replace("<br>", " ")
    assert said == "share of failures announced is not known for any failure mode"


def test_every_chart_names_both_its_axes_or_labels_its_bars():
    roc = pd.DataFrame({"false_positive_rate": [0.0], "true_positive_rate": [0.0]})
    drawings = [
        charts.roc_curve(roc),
        charts.precision_recall_curve(pd.DataFrame({"recall": [0.0], "precision": [1.0]})),
        charts.calibration(pd.DataFrame({"mean_predicted": [0.1], "observed_rate": [0.2], "rows": [3]})),
        charts.cost_curve(pd.DataFrame({"threshold": [0.1], "cost": [5.0]})),
        charts.predictions_scatter(SAMPLE),
        charts.error_distribution(SAMPLE),
        charts.lead_times(pd.DataFrame({"lead_time_days": [2.0]})),
        charts.learning_curve(pd.DataFrame({"turbines": [2], "rows": [10], "score": [0.5]}), metric="PR-AUC"),
        charts.confusion_matrix(1, 2, 3, 4),
    ]
    titles = [(drawing.layout.xaxis.title.text, drawing.layout.yaxis.title.text) for drawing in drawings]
    assert all(x and y for x, y in titles), titles


def test_every_public_chart_says_which_columns_it_needs():
    public = [function for name, function in inspect.getmembers(charts, inspect.isfunction) if not name.startswith("_")]
    drawn_here = [function for function in public if function.__module__ == charts.__name__]
    takes_a_frame = [function for function in drawn_here if pd.DataFrame.__name__ in str(inspect.signature(function))]
    assert all("Needs `" in (function.__doc__ or "") for function in takes_a_frame)
