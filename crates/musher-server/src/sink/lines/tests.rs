use super::*;

const NOW: Timestamp = Timestamp::from_micros(1_769_850_000_000_000);

fn line(seq: u64) -> (Last, Vec<u8>) {
    (Last { seq, at: NOW }, format!("{{\"seq\":{seq},\"at\":\"{NOW}\",\"kind\":\"settings_changed\"}}\n").into_bytes())
}

fn lines(seqs: std::ops::RangeInclusive<u64>) -> Vec<(Last, Vec<u8>)> {
    seqs.map(line).collect()
}

fn plan(folder: &tempfile::TempDir, lines: u64, keep: u32) -> Plan {
    Plan { path: folder.path().join("below/events.ndjson"), max_size_bytes: lines * line(1).1.len() as u64, keep }
}

/// The events of a file, in order; every line must be whole.
fn read(path: &Path) -> Vec<u64> {
    let Ok(text) = std::fs::read_to_string(path) else { return Vec::new() };
    assert!(text.is_empty() || text.ends_with('\n'), "{text:?}");
    text.lines().map(|line| serde_json::from_str::<Last>(line).unwrap().seq).collect()
}

/// The events of all files, the oldest first.
fn read_all(plan: &Plan) -> Vec<u64> {
    let mut all: Vec<u64> = (1..=9).rev().flat_map(|n| read(&plan.full(n))).collect();
    all.extend(read(&plan.path));
    all
}

#[test]
fn a_full_file_gets_a_number_and_only_so_many_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(&folder, 3, 2);
    let mut open = None;
    for seq in 1..=4 {
        open = Some(plan.append(open.take(), &[line(seq)], None).unwrap());
    }
    assert_eq!((read(&plan.full(1)), read(&plan.path)), (vec![1, 2, 3], vec![4]));
    open = Some(plan.append(open.take(), &lines(5..=9), None).unwrap());
    assert_eq!(
        (read(&plan.full(2)), read(&plan.full(1)), read(&plan.path)),
        (vec![1, 2, 3], vec![4, 5, 6], vec![7, 8, 9])
    );
    plan.append(open, &lines(10..=10), None).unwrap();
    assert_eq!(read_all(&plan), (4..=10).collect::<Vec<_>>(), "the oldest is gone");
    assert!(!plan.full(3).exists());
    use std::os::unix::fs::MetadataExt;
    assert_eq!(std::fs::metadata(&plan.path).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn a_file_that_is_moved_away_or_removed_is_followed_by_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(&folder, 9, 2);
    let open = plan.append(None, &lines(1..=2), None).unwrap();
    let moved = folder.path().join("moved");
    std::fs::rename(&plan.path, &moved).unwrap();
    let open = plan.append(Some(open), &lines(3..=4), None).unwrap();
    assert_eq!((read(&moved), read(&plan.path)), (vec![1, 2], vec![3, 4]));
    std::fs::remove_dir_all(plan.path.parent().unwrap()).unwrap();
    let open = plan.append(Some(open), &lines(5..=5), None).unwrap();
    plan.append(Some(open), &lines(6..=6), None).unwrap();
    assert_eq!(read(&plan.path), [5, 6]);
}

#[test]
fn a_line_longer_than_a_file_may_be_is_written_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan { max_size_bytes: 1, ..plan(&folder, 1, 9) };
    plan.append(None, &lines(1..=3), None).unwrap();
    assert_eq!((read(&plan.full(2)), read(&plan.full(1)), read(&plan.path)), (vec![1], vec![2], vec![3]));
}

#[test]
fn without_full_files_kept_only_the_present_one_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(&folder, 2, 0);
    plan.append(None, &lines(1..=5), None).unwrap();
    assert_eq!((read(&plan.path), plan.full(1).exists()), (vec![5], false));
}

#[test]
fn lines_that_the_file_has_already_are_not_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(&folder, 100, 2);
    plan.append(None, &lines(1..=3), None).unwrap();
    // A crash between the lines and the cursor: the same again, and more.
    plan.append(None, &lines(1..=5), None).unwrap();
    assert_eq!(read(&plan.path), [1, 2, 3, 4, 5]);
    // Unless they are of another log, whose events had the same numbers.
    let foreign = plan.open().unwrap().last();
    plan.append(None, &lines(2..=3), foreign).unwrap();
    assert_eq!(read(&plan.path), [1, 2, 3, 4, 5, 2, 3]);
}

/// Cut off at every byte, as a crash may leave it: what was begun is finished, nothing is missing and nothing is there twice.
#[test]
fn a_torn_line_is_taken_off_and_written_anew() {
    let whole: Vec<u8> = lines(1..=3).into_iter().flat_map(|(_, line)| line).collect();
    for cut in 0..=whole.len() {
        let folder = tempfile::tempdir().unwrap();
        let plan = plan(&folder, 100, 2);
        std::fs::create_dir_all(plan.path.parent().unwrap()).unwrap();
        std::fs::write(&plan.path, &whole[..cut]).unwrap();
        plan.append(None, &lines(1..=4), None).unwrap();
        assert_eq!(read(&plan.path), [1, 2, 3, 4], "cut off at {cut}");
    }
}

/// Cut off between any two steps of a rotation.
#[test]
fn a_rotation_that_was_cut_off_loses_and_doubles_nothing() {
    let steps: [&[(&str, &str)]; 4] =
        [&[], &[(".1", ".2")], &[(".1", ".2"), ("", ".1")], &[(".1", ".2"), ("", ".1"), ("new", "")]];
    for done in steps {
        let folder = tempfile::tempdir().unwrap();
        let plan = plan(&folder, 2, 5);
        plan.append(None, &lines(1..=4), None).unwrap();
        let name = |suffix: &str| format!("{}{suffix}", plan.path.display());
        for (from, to) in done {
            match *from {
                "new" => std::fs::write(name(to), "").unwrap(),
                from => std::fs::rename(name(from), name(to)).unwrap(),
            }
        }
        plan.append(None, &lines(3..=7), None).unwrap();
        assert_eq!(read_all(&plan), (1..=7).collect::<Vec<_>>(), "after {done:?}");
    }
}

#[test]
fn a_file_of_somebody_else_is_left_alone() {
    for text in ["dear diary", "dear diary\n", "{\"seq\":1}\n", "[]\nx"] {
        let folder = tempfile::tempdir().unwrap();
        let plan = plan(&folder, 100, 2);
        std::fs::create_dir_all(plan.path.parent().unwrap()).unwrap();
        std::fs::write(&plan.path, text).unwrap();
        let error = plan.append(None, &lines(1..=1), None).unwrap_err();
        assert!(error.to_string().contains("choose another `path`"), "{error}");
        assert_eq!(std::fs::read_to_string(&plan.path).unwrap(), text);
    }
}

#[test]
fn the_last_line_is_found_however_long_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(&folder, 1_000_000, 2);
    let pad = "x".repeat(3 * usize::try_from(STEP).unwrap());
    let long = |seq: u64| (line(seq).0, format!("{{\"seq\":{seq},\"at\":\"{NOW}\",\"pad\":\"{pad}\"}}\n").into_bytes());
    plan.append(None, &[line(1), long(2), long(3)], None).unwrap();
    assert_eq!(plan.open().unwrap().last().unwrap().place(), Seq(3));
}
