//! tower-breaker
