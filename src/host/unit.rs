//! Vectors of unit length over host memory.

/// 1/√(square + ε): what a vector of that squared length is multiplied with.
pub fn inverse_length(square: f32, epsilon: f32) -> f32 {
    1.0 / (square + epsilon).sqrt()
}
