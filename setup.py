"""The package `turbine_health`, its pins and extras."""

from setuptools import find_packages, setup

setup(
    name="turbine-health",
    version="0.1.0",
    description="From raw turbine sensor logs to failure and time-to-failure tables, on Spark, Delta and MLflow",
    license="Apache-2.0",
    package_dir={"": "lib"},
    packages=find_packages("lib"),
    package_data={"turbine_health": ["py.typed", "reporting/templates/*"]},
    python_requires=">=3.10,<3.13",
    install_requires=[
        "pyspark==4.2.0",
        "delta-spark==4.4.0",
        "pandas>=2.2,<3",
        "pyarrow>=18",
        "numpy>=1.26",
        "mlflow>=3.17,<4",
        "plotly>=6",
        "Jinja2>=3.1",
        "SQLAlchemy>=2",
        "pydantic>=2.10",
        "PyYAML>=6",
        "rich>=13",
    ],
    extras_require={
        "test": [
            "pytest>=8",
            "pytest-timeout",
            "pytest-xdist",
            "chispa>=0.10",
            "kafka-python>=3",
            "duckdb",
            "deltalake",
            "playwright",
            "psycopg2-binary",
            # The last two are what moto's server needs, without what it needs for services other than S3.
            "moto[s3]",
            "flask",
            "flask-cors",
        ],
        "postgres": ["psycopg2-binary"],
        "s3": ["boto3"],
        "check": ["ruff", "mypy", "pandas-stubs", "types-PyYAML"],
        "bench": ["polars", "duckdb", "deltalake", "scikit-learn", "lightgbm"],
    },
)
