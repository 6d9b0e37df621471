//! Numbers as the bytes that are sent.

/// A number of a few bytes, in the order of the machine: ranks run on machines of one kind.
pub trait Number: Copy {
    /// The bytes of all, one number behind the other.
    fn bytes(all: &[Self]) -> Vec<u8>;

    /// The numbers of bytes.
    ///
    /// # Panics
    /// Where they are not those of whole numbers.
    fn all(bytes: &[u8]) -> Vec<Self>;
}

macro_rules! numbers {
    ($($kind:ty),*) => {$(
        impl Number for $kind {
            fn bytes(all: &[Self]) -> Vec<u8> {
                let mut bytes = vec![0; size_of_val(all)];
                let places = bytes.chunks_exact_mut(size_of::<Self>());
                places.zip(all).for_each(|(to, own)| to.copy_from_slice(&own.to_ne_bytes()));
                bytes
            }

            fn all(bytes: &[u8]) -> Vec<Self> {
                let parts = bytes.chunks_exact(size_of::<Self>());
                assert!(parts.remainder().is_empty(), "{} bytes are sent", bytes.len());
                parts.map(|own| Self::from_ne_bytes(own.try_into().expect("of its size"))).collect()
            }
        }
    )*};
}

numbers!(u8, u32, u64, i64, f32);
