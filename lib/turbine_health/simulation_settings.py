"""The settings of the built-in fleet. It may also be told what to plant, where and when."""

from __future__ import annotations

import re
from datetime import date
from typing import Literal

from pydantic import Field, model_validator

from turbine_health.section import Section

GrowingMode = Literal["gearbox_bearing", "gearbox_oil", "generator", "hydraulics", "pitch"]
SimulatedSignal = Literal[
    "wind_speed_m_s", "active_power_kw", "rotor_speed_rpm", "pitch_angle_deg", "gearbox_oil_temp_c",
    "gearbox_bearing_temp_c", "generator_temp_c", "vibration_mm_s", "hydraulic_pressure_bar", "ambient_temp_c",
]  # fmt: skip


class FailureRates(Section):
    """How often each kind of failure strikes, per turbine and year; 0 switches it off."""

    gearbox_bearing: float = Field(0.9, ge=0, le=50)
    gearbox_oil: float = Field(0.8, ge=0, le=50)
    generator: float = Field(0.85, ge=0, le=50)
    hydraulics: float = Field(0.8, ge=0, le=50)
    pitch: float = Field(0.8, ge=0, le=50)
    electrical: float = Field(0.75, ge=0, le=50, description="Sudden: no sensor announces it.")


class PlantedFault(Section):
    """A fault in one turbine that ends in failure, in place of whatever chance would have done there then."""

    asset_id: str = Field(description="For example T03.")
    failure_mode: GrowingMode
    fails_on: date = Field(description="It fails at noon UTC of this day, and is repaired three days later.")
    run_up_days: float = Field(20, gt=0, le=365, description="From the first trace to the failure.")
    severity: float = Field(1.5, gt=0, le=10, description="How far it has grown at the failure; chance draws 0.6 to 1.4.")


class SensorFault(Section):
    """A sensor that says something wrong from a day on, while the turbine is well."""

    asset_id: str
    signal: SimulatedSignal
    kind: Literal["shifted", "frozen"]
    from_day: date = Field(description="Included, from midnight UTC.")
    until_day: date | None = Field(None, description="Excluded; null: to the end.")
    shift: float = Field(0, description="Added to the value, in the signal's unit; for `shifted` only.")

    @model_validator(mode="after")
    def _means_something(self) -> SensorFault:
        if (self.kind == "shifted") != (self.shift != 0):
            raise ValueError("give `shift` (not 0) for a shifted sensor, and only for that")
        if self.until_day is not None and self.until_day <= self.from_day:
            raise ValueError("until_day must be after from_day")
        return self


class SimulationSettings(Section):
    """The built-in fleet: size, failures and dirt. The same settings write the same bytes."""

    output: str = Field("data/landing/simulated", description="Folder that is replaced as a whole.")
    turbines: int = Field(20, ge=1, le=100_000, description="T01, T02, … Every tenth never fails.")
    days: int = Field(365, ge=1, le=3_650)
    start: date = Field(date(2023, 1, 1), description="First day, UTC.")
    sampling_minutes: Literal[1, 2, 5, 10, 15, 20, 30, 60] = 10
    seed: int = Field(7, ge=0)
    dirt: float = Field(1.0, ge=0, le=10, description="Multiplier of every kind of dirt; 0 writes clean logs.")
    failures_per_turbine_year: FailureRates = FailureRates()
    look_alikes: float = Field(1.0, ge=0, le=10, description="Multiplier of anomalies that no failure follows.")
    signature_strength: float = Field(1.0, ge=0, le=10, description="How strongly faults show; 0: not at all.")
    planted: tuple[PlantedFault, ...] = ()
    sensor_faults: tuple[SensorFault, ...] = ()

    @model_validator(mode="after")
    def _turbines_exist(self) -> SimulationSettings:
        named = [*(fault.asset_id for fault in self.planted), *(fault.asset_id for fault in self.sensor_faults)]
        unknown = sorted({asset_id for asset_id in named if not self._has(asset_id)})
        if unknown:
            raise ValueError(f"no such turbine: {', '.join(unknown)} (there are T01 to T{self.turbines:02d})")
        return self

    def _has(self, asset_id: str) -> bool:
        number = re.fullmatch(r"T(\d{2,})", asset_id)
        return number is not None and asset_id == f"T{int(number[1]):02d}" and 1 <= int(number[1]) <= self.turbines
