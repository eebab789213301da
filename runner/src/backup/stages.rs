//! Measures the time for the stages of a collection.

use std::time::Instant;

use qdrant_backup_shared::operation::Stage;
use qdrant_backup_shared::run_report::StageReport;

/// Measures consecutive stages. If a stage is entered again, its times add up.
#[derive(Debug)]
pub struct Stages {
    reports: Vec<StageReport>,
    since: Instant,
}

impl Stages {
    /// Begins with `stage`.
    pub fn begin(stage: Stage) -> Self {
        let mut stages = Self { reports: Vec::new(), since: Instant::now() };
        stages.open(stage);
        stages
    }

    /// Ends the current stage and begins `stage`.
    pub fn enter(&mut self, stage: Stage) {
        self.close();
        self.open(stage);
    }

    /// Counts bytes transferred in the current stage.
    pub fn add_bytes(&mut self, count: u64) {
        if let Some(current) = self.reports.last_mut() {
            *current.bytes.get_or_insert(0) += count;
        }
    }

    /// Ends the last stage.
    pub fn finish(mut self) -> Vec<StageReport> {
        self.close();
        self.reports
    }

    fn open(&mut self, stage: Stage) {
        self.since = Instant::now();
        match self.reports.iter().position(|report| report.stage == stage) {
            // The current stage is always the last one.
            Some(position) => {
                let report = self.reports.remove(position);
                self.reports.push(report);
            }
            None => self.reports.push(StageReport { stage, duration_seconds: 0.0, bytes: None }),
        }
    }

    fn close(&mut self) {
        if let Some(current) = self.reports.last_mut() {
            current.duration_seconds += self.since.elapsed().as_secs_f64();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_entered_twice_is_one_row() {
        let mut stages = Stages::begin(Stage::Create);
        stages.enter(Stage::Download);
        stages.add_bytes(5);
        stages.enter(Stage::Create);
        stages.enter(Stage::Download);
        stages.add_bytes(7);
        let reports = stages.finish();
        let rows: Vec<_> = reports.iter().map(|report| (report.stage.as_str(), report.bytes)).collect();
        assert_eq!(rows, [("create", None), ("download", Some(12))]);
    }
}
