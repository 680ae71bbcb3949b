//! The probe: what the disk itself can do, in the same folder and the same minute.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use super::BenchError;

/// How long it looks.
const LOOK: Duration = Duration::from_millis(1_500);

/// How many 4 KiB appends, each made durable by fdatasync, the disk takes in a second.
pub(super) fn fdatasyncs(dir: &Path) -> Result<f64, BenchError> {
    let path = dir.join("probe");
    let failed = |e| BenchError::io(&path)(e);
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).open(&path).map_err(failed)?;
    let block = [0x5a_u8; 4096];
    let started = Instant::now();
    let mut count = 0_u32;
    while started.elapsed() < LOOK {
        file.write_all(&block).map_err(failed)?;
        file.sync_data().map_err(failed)?;
        count += 1;
    }
    let rate = f64::from(count) / started.elapsed().as_secs_f64();
    std::fs::remove_file(&path).map_err(failed)?;
    Ok(rate)
}
