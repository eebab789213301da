//! From when until when a certificate is valid. The TLS library shows it to everybody all the same.

use chrono::{DateTime, NaiveDateTime, Utc};

use super::client_certificates::element;

/// `[0]`: the version, which the oldest certificates do not have.
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;

/// What keeps clients from taking the certificate, in DER, at this time. Nothing where it cannot be told.
pub(super) fn problem(certificate: &[u8], now: DateTime<Utc>) -> Option<String> {
    let (from, until) = period(certificate)?;
    if until < now {
        Some(format!("the certificate expired on {until}"))
    } else if from > now {
        Some(format!("the certificate is not valid before {from}"))
    } else {
        None
    }
}

fn period(certificate: &[u8]) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let (_, whole, _) = element(certificate)?;
    let (_, mut fields, _) = element(whole)?;
    if let (VERSION, _, rest) = element(fields)? {
        fields = rest;
    }
    // Its number, the algorithm, who issued it.
    for _ in 0..3 {
        fields = element(fields)?.2;
    }
    let (_, validity, _) = element(fields)?;
    let (tag, from, rest) = element(validity)?;
    let from = time(tag, from)?;
    let (tag, until, _) = element(rest)?;
    Some((from, time(tag, until)?))
}

/// `YYMMDDHHMMSSZ` of 1950 to 2049, or the same with a year of four digits.
fn time(tag: u8, contents: &[u8]) -> Option<DateTime<Utc>> {
    let text = std::str::from_utf8(contents).ok()?;
    let century = match (tag, text.get(..2)) {
        (UTC_TIME, Some(year)) if year < "50" => "20",
        (UTC_TIME, Some(_)) => "19",
        _ => "",
    };
    Some(NaiveDateTime::parse_from_str(&format!("{century}{text}"), "%Y%m%d%H%M%SZ").ok()?.and_utc())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn a_certificate_out_of_its_time_has_a_problem_and_a_torn_one_none() {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2030, 1, 2), date_time_ymd(2060, 1, 2));
        let der = params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec();
        let at = |time: &str| problem(&der, time.parse().unwrap());
        assert_eq!(at("2030-01-02T00:00:00Z"), None);
        assert_eq!(at("2060-01-02T00:00:00Z"), None);
        let early = "the certificate is not valid before 2030-01-02 00:00:00 UTC";
        assert_eq!(at("2030-01-01T23:59:59Z").as_deref(), Some(early));
        let late = "the certificate expired on 2060-01-02 00:00:00 UTC";
        assert_eq!(at("2060-01-02T00:00:01Z").as_deref(), Some(late));
        for length in 0..der.len() {
            // Whatever is in it by then.
            drop(problem(&der[..length], "2040-01-01T00:00:00Z".parse().unwrap()));
        }
    }
}
