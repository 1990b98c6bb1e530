//! Known-answer tests of a signature back-end: a valid and an invalid signature for each algorithm that a
//! host may support.
//!
//! The signatures were made with pyca/cryptography; the private keys were deleted.

use crate::token::{Algorithm, Jws, KeySet, SignatureBackend};

/// The algorithms with a known answer.
pub(crate) fn algorithms() -> impl ExactSizeIterator<Item = Algorithm> {
    KNOWN.iter().map(|known| known.algorithm)
}

/// Whether the back-end accepts the valid signature and rejects the invalid one.
pub(crate) fn passes(backend: &dyn SignatureBackend, algorithm: Algorithm) -> bool {
    let answer = |token: &str| -> Option<bool> {
        let (keys, _) = KeySet::fetched(KEYS.as_bytes()).ok()?;
        let token = Jws::parse(token.as_bytes()).ok()?;
        let key = keys.iter().find(|key| key.kid() == token.kid.as_deref())?;
        backend.verify(algorithm, key, token.signing_input, &token.signature)
    };
    KNOWN.iter().any(|known| {
        known.algorithm == algorithm
            && answer(known.token) == Some(true)
            && known
                .with_other_payload()
                .is_some_and(|token| answer(&token) == Some(false))
    })
}

struct KnownAnswer {
    algorithm: Algorithm,
    token: &'static str,
}

impl KnownAnswer {
    /// The same signature over an empty claims set.
    fn with_other_payload(&self) -> Option<String> {
        let (header, rest) = self.token.split_once('.')?;
        let (_, signature) = rest.split_once('.')?;
        Some(format!("{header}.e30.{signature}"))
    }
}

const KNOWN: [KnownAnswer; 6] = [
    KnownAnswer {
        algorithm: Algorithm::Rs256,
        token: "\
            eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYSJ9.eyJpc3MiOiJrbm93biBhbnN3ZXIifQ.zt97XrD6SA8dGNB_\
            VziB4uhhypSqmX2mIVisQq9Rh-2C_bs2JPOEB_br4_8a_ComC_ojrlXAo5cvQVDIJ7ztiyBNprGqSuujSL1Q\
            Oxmqu6pUwLmXdGOEoygyYIIy7oxJWkLQVy-ROWgnE9By00FL-s-V4Lpti1SInwGFlWliuwIY0qTg42WxNZ8K\
            omynn1yCd-aTztJAuQE0-7aHaNLlpAkEjuNhZEJniBUjD3dtqsJmk2ejKKyfIof2okYzve41cCpXFU0Be3pR\
            7UwNKZjvTb1rZEQS_SeGXiBKihEdjLQjSzGjMom3bt84AK8eqPGegHIzBft7vCq5Dip9PnZGYA",
    },
    KnownAnswer {
        algorithm: Algorithm::Rs384,
        token: "\
            eyJhbGciOiJSUzM4NCIsImtpZCI6InJzYSJ9.eyJpc3MiOiJrbm93biBhbnN3ZXIifQ.hlDGTzqhTAF_9slq\
            uFlRX2IBwMD2EFkqzHlBfYZfdZ-KEkob-c2vzrOsRjBLA9eNBjQk6A3o_0Pg5cmU3d22Jz9YTzIcrUzk8M1P\
            DtzgndYZCVtoet7NVxNJ0yxsUGruEjwZJ5bp4j5iqAC_4mgZuGn8I7O0_L5RAOdCvnSUCOz_qgo92wT7BV6w\
            LKP2gHIg5NgjPCvowBv4ta75ZThOzLQ17xNasgbi5gRPU6AqATxT_m2XcddqC0dN6gAffzbYQwOzoFe99yDP\
            pni4_ZlLyCqWojjs9G4wt9Rre9MPqxI9jLCZMYCeL12QuvtxMBThDJBsYGTFndRGEQ2fJ0kuXQ",
    },
    KnownAnswer {
        algorithm: Algorithm::Rs512,
        token: "\
            eyJhbGciOiJSUzUxMiIsImtpZCI6InJzYSJ9.eyJpc3MiOiJrbm93biBhbnN3ZXIifQ.LD8SOFTY5FBOPUqD\
            5LwP1ggQjstwFz6qOfP20ZrAR2-aEduQFkX0kQnkQGPb5rk8rwmfto2fyRfvttF6RCg3OxQcrhn1_h1dwRZf\
            pSCQ5_nfolzU7aQPbau6cCJDd0hZGURMC95psgjGKTpxVzYPnucLwPNVrHn3LW25RFwuEsDHoMRZ81qeyFtb\
            9lKRdkIwsYAhALji-mUktMpySESDK7gq2Oy5mOY_ZsdFlsVqMySk2qSRO59q5UfpbenAPvZYxQmi5ec8YNm0\
            apXsiUgKSQ7pIZUBB3y4KzlsnR4O9l8hTYq2-UstoBs0Vd_h85yk5QlYvh58YG75VJzsoIOQGg",
    },
    KnownAnswer {
        algorithm: Algorithm::Es256,
        token: "\
            eyJhbGciOiJFUzI1NiIsImtpZCI6InAyNTYifQ.eyJpc3MiOiJrbm93biBhbnN3ZXIifQ.YfBQnR1lDqYToH\
            g2Nn5-1I_2TFANnM-AznptEZuXeXYnjC75u__IvmtyTjvBa8HavB6kDHAsUqU0hDQv5_4cfA",
    },
    KnownAnswer {
        algorithm: Algorithm::Es384,
        token: "\
            eyJhbGciOiJFUzM4NCIsImtpZCI6InAzODQifQ.eyJpc3MiOiJrbm93biBhbnN3ZXIifQ.6BCaX15e84FI3y\
            jSDDm5hGc8ROq58Bph9wJhCKG9tSX6Bv-BKzKEqCk0BQzZXhVRRKIZq402BP8tYTpoywcLeH5aj_QBefrOXX\
            3FN63ljwLnSHTaggJ3Q02-IWmF0_Pv",
    },
    KnownAnswer {
        algorithm: Algorithm::Es512,
        token: "\
            eyJhbGciOiJFUzUxMiIsImtpZCI6InA1MjEifQ.eyJpc3MiOiJrbm93biBhbnN3ZXIifQ.AcnuBmNxii3Vay\
            0YzwirUdG0gEAH4vRVmq94kHyrYA_MIUIk-FG4dIUKWCPxKnpPd7U16JvmH_w0SVNVWF9C_pF2Ab2nnwqVx9\
            tv2LB-kzilipXcbgqlCBpPFBz1MeC5z22Lz8kq6N4LCWnGeBvlLDzdJNMhswscHr938pEo3c9DqUJX",
    },
];

const KEYS: &str = "\
    {\"keys\":[{\"kty\":\"RSA\",\"kid\":\"rsa\",\"n\":\"39UEPtYIGOtisgBkqDl9NO-8yVYSl2WWDmkaUbq8\
    K6sVywQFzy_qbr8DuyY1xLmoWU0g7wwj4jNSfe8PXsazRHOKaRWLRLABXnhA9-QSl_GgVQ3CFgK-sL8EaF5j2b_qvhBV\
    J79YzKslrl6IgIlhNDQo9nkS5CcOdqi7ry6RXs0ZKE8dDdP1gRvylmNewwLFS_rXZKiWlxWkC_CulMGmA-AQ-MIFyjfZ\
    z5-NmTcOg5RNwQoVMkFJ_Xci13y28pP4poBwt4YDEFp4g8hdtX_gAt0V9IMx3eFPj1ICpQoP2ntgyoD9eA5_QEM4owbe\
    EzrBghcuydj4pthaTKwhTUTo7w\",\"e\":\"AQAB\"},{\"kty\":\"EC\",\"kid\":\"p256\",\"crv\":\"P-25\
    6\",\"x\":\"YaZgO9ipXvHpGff4cAIkYaPtEEC6_065heQZxYkVA-4\",\"y\":\"b4jgPq2eu_4HMUnoydteCnJ0J7\
    fB29DkZhEO50kH_6Y\"},{\"kty\":\"EC\",\"kid\":\"p384\",\"crv\":\"P-384\",\"x\":\"WcSwIg8PRkT4\
    Mh-SJm6vohM0Qf1kXKhhYrNllBaZ-7sXZjg6xYv7A2ijGSUr8AcB\",\"y\":\"Yq1UYff6_iubga_-O9rBlE8WWDml9\
    vwTR_2DsEtggUTaO97biLjKQTCxqwr4Kvh5\"},{\"kty\":\"EC\",\"kid\":\"p521\",\"crv\":\"P-521\",\"\
    x\":\"ATBhGEn9r84lIs0vtur6pbw2AGqDmH1co6LxZsCp--w9iMJHQulCItwPpl2ni6a5P3RUX3kY8WtstgNCfwBy1x\
    A8\",\"y\":\"ADWxkiDX5D8rS1kC_4X_MiWrNpEXKOZ_i5f2LQ1xr9sVa5uG869ib3xe-HjF05dFamXs0A5ScHmIHUf\
    euB2TtNhO\"}]}";
