//! What the fuzz targets share: how to look at bytes, and what must hold whatever they are.

use tq_codec::header::FrameLengths;
use tq_codec::{
    FRAME_ALIGNMENT, FormatError, HeaderReader, Node, PackedView, Value, checksum, layout,
};

pub mod tree;

/// Reads `buffer` in every way there is; the ways must agree.
pub fn view(buffer: &[u8]) {
    let Ok(view) = PackedView::parse(buffer) else {
        assert!(
            Value::unpack(buffer).is_err(),
            "unpacked what cannot be parsed"
        );
        return;
    };
    assert!(view.total_len() <= buffer.len());
    let mut end = view.header_range().end as u64;
    let mut lengths = Vec::new();
    for frame in 0..view.frame_count() {
        let range = view.frame_range(frame).expect("the frame is there");
        assert_eq!(
            Some(range.start as u64),
            layout::align64(end),
            "a frame lies elsewhere than planned"
        );
        end = range.end as u64;
        lengths.push(buffer[range].len() as u64);
    }
    assert_eq!(Some(view.total_len() as u64), layout::align64(end));
    let walked = walk(view.header(), &lengths);
    let verified = view.verify_frames(buffer);
    match Value::unpack(buffer) {
        Ok(Value::Null) if view.is_empty() => {}
        Ok(value) => {
            walked.expect("unpacked what cannot be walked");
            verified.expect("unpacked what cannot be verified");
            round_trip(value);
        }
        Err(error) => assert!(walked == Err(error.clone()) || verified == Err(error)),
    }
}

/// Walks `header` to its end or its first lie; returns the number of steps.
pub fn walk(header: &[u8], lengths: &[u64]) -> Result<usize, FormatError> {
    let mut reader = HeaderReader::new(header, FrameLengths::Given(lengths));
    let mut steps = 0;
    loop {
        let step = reader.step();
        match &step {
            Ok(Some(node)) => check_node(node, reader.shape(), lengths),
            _ => assert_eq!(reader.step(), step, "a walk that ended went on"),
        }
        assert!(
            reader.shape().len() <= header.len(),
            "a shape larger than the header"
        );
        if step?.is_none() {
            return Ok(steps);
        }
        steps += 1;
        assert!(steps <= header.len(), "more steps than bytes");
    }
}

fn check_node(node: &Node<'_>, shape: &[u64], lengths: &[u64]) {
    match *node {
        Node::Tensor(tensor) => {
            let found = lengths[tensor.frame as usize];
            assert_eq!(tensor.dtype.byte_len(shape), Some(found));
        }
        Node::Array { frame: number, .. }
        | Node::FrameText(number)
        | Node::FrameBytes(number)
        | Node::FrameByteArray(number) => assert!((number as usize) < lengths.len()),
        _ => {}
    }
}

/// Packs and unpacks `value`; it must come back. Compared are the packed bytes, because a NaN is
/// not equal to itself.
pub fn round_trip(value: Value) {
    for checksum in [false, true] {
        let buffer = value
            .pack(checksum)
            .expect("the value is small and shallow");
        assert_eq!(buffer.len() as u64 % FRAME_ALIGNMENT, 0);
        let back = Value::unpack(&buffer).expect("what was packed can be unpacked");
        assert!(
            back.pack(checksum) == Ok(buffer),
            "{value:?} came back as {back:?}"
        );
    }
}

/// Makes the checksums right, as far as the lengths in the preamble let them be found.
pub fn seal(buffer: &mut [u8]) {
    let Ok(preamble) = layout::Preamble::parse(buffer) else {
        return;
    };
    let Some(small_len) = preamble
        .small_len()
        .filter(|len| *len <= buffer.len() as u64)
    else {
        return;
    };
    if preamble.flags & layout::FLAG_FRAMES_CHECKSUM != 0 {
        let start = layout::align64(small_len).map_or(usize::MAX, |start| start as usize);
        let end = usize::try_from(preamble.total_len).unwrap_or(usize::MAX);
        if let Some(region) = buffer.get(start..end) {
            let digest = checksum::frames(region);
            buffer[layout::FRAMES_CHECKSUM_AT..][..8].copy_from_slice(&digest.to_le_bytes());
        }
    }
    let digest = checksum::small_parts(&buffer[..small_len as usize]);
    buffer[layout::SMALL_CHECKSUM_AT..][..8].copy_from_slice(&digest.to_le_bytes());
}

/// Input of the target `header`: a byte that counts frames, their lengths, the header.
#[must_use]
pub fn split_header_input(bytes: &[u8]) -> (Vec<u64>, &[u8]) {
    let Some((count, rest)) = bytes.split_first() else {
        return (Vec::new(), bytes);
    };
    let (lengths, header) = rest.split_at(rest.len().min(usize::from(*count) * 8));
    let length = |entry: &[u8]| {
        entry
            .iter()
            .rev()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    };
    (lengths.chunks(8).map(length).collect(), header)
}

/// The inverse of [`split_header_input`], for seeds.
#[must_use]
pub fn join_header_input(lengths: &[u64], header: &[u8]) -> Vec<u8> {
    let count = u8::try_from(lengths.len()).expect("a seed has few frames");
    let lengths = lengths.iter().flat_map(|len| len.to_le_bytes());
    std::iter::once(count)
        .chain(lengths)
        .chain(header.iter().copied())
        .collect()
}
