//! Python values to packed buffers and back.
//!
//! | module | holds |
//! |---|---|
//! | [`encode`] | walks Python objects, without recursion, and plans their packed buffers |
//! | [`leaf`] | the values without elements: numbers, text, arrays |
//! | [`tensor`] | torch tensors, fast and slow |
//! | [`path`] | where inside a value an error happened |
//! | [`decode`] | builds Python objects from a header and its frames |
//! | [`early`] | strings and bytes made ahead of the values that hold them, by several threads |
//! | [`slots`] | the caller's buffers: size, writability, overlap |
//! | [`helpers`] | the Python side: types that are rebuilt by name, pickle |
//! | [`functions`] | what Python calls |

pub(crate) mod decode;
pub(crate) mod early;
pub(crate) mod encode;
pub(crate) mod functions;
pub(crate) mod helpers;
mod leaf;
mod path;
mod slots;
pub(crate) mod tensor;
