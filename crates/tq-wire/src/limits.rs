//! Sizes and versions that both ends keep to.

/// Version of the protocol; a host refuses guests of another one.
pub const VERSION: u32 = 1;

/// Puts and gets of up to so many bytes travel inside their message; larger ones lie in segments.
pub const INLINE_BYTES: u64 = 64 << 10;

/// The largest message. Only columns of very many samples come near it.
pub const MESSAGE_BYTES: usize = 256 << 20;

/// What may be under way on a connection before the receiver has to say that it took it; large
/// enough for any inline payload.
pub const WINDOW_BYTES: u32 = 4 << 20;

/// Calls of one guest that may be under way at once.
pub const STREAMS: u32 = 1024;
