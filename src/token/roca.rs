//! Detects RSA keys with the ROCA weakness (CVE-2017-15361), whose private key can be computed.

/// Whether a big-endian modulus has the fingerprint: modulo each of the small primes it is a power of 65537
/// (Nemec et al., "The Return of Coppersmith's Attack", §3.2). One unaffected modulus in 2^27 has it, too.
pub(super) fn has_roca_fingerprint(modulus: &[u8]) -> bool {
    PRIMES.into_iter().all(|prime| {
        let remainder = modulus.iter().fold(0, |remainder, byte| {
            modulo(shifted(remainder, *byte), prime)
        });
        is_power_of_generator(remainder, prime)
    })
}

/// The odd primes up to 167, which divide the parameter of every affected key size.
const PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
    101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/// The powers repeat after at most `prime` steps.
fn is_power_of_generator(number: u32, prime: u32) -> bool {
    let mut power = 1;
    for _ in 0..prime {
        if power == number {
            return true;
        }
        power = modulo(u32::saturating_mul(power, 65_537), prime);
    }
    false
}

/// Below 2^16, as `remainder` is below 167.
fn shifted(remainder: u32, byte: u8) -> u32 {
    remainder
        .saturating_mul(256)
        .saturating_add(u32::from(byte))
}

fn modulo(number: u32, prime: u32) -> u32 {
    number.checked_rem(prime).unwrap_or_default()
}
