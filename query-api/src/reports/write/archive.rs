//! A zip archive: in come names and texts, out come its bytes, compressed, the same for the same files. No times, no folders, below 4 GiB. Pure.

use std::io::{self, Write as _};

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};

const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
/// Of the format's version 2.0, which has deflate.
const VERSION: u16 = 20;
/// Names are UTF-8.
const FLAGS: u16 = 1 << 11;
const DEFLATED: u16 = 8;
/// Midnight of 1 January 1980, the first time that there is.
const TIME: [u16; 2] = [0, 0x21];

/// An archive in the making.
#[derive(Debug, Default)]
pub struct Archive {
    bytes: Vec<u8>,
    directory: Vec<u8>,
    files: u16,
}

impl Archive {
    /// # Errors
    /// When the archive gets larger than the format can say.
    pub fn file(&mut self, name: &str, text: &str) -> io::Result<()> {
        let mut crc = Crc::new();
        crc.update(text.as_bytes());
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes())?;
        let packed = encoder.finish()?;
        let mut about = Vec::new();
        for half in [VERSION, FLAGS, DEFLATED, TIME[0], TIME[1]] {
            about.extend(half.to_le_bytes());
        }
        for word in [crc.sum(), size(packed.len())?, size(text.len())?] {
            about.extend(word.to_le_bytes());
        }
        let length = u16::try_from(name.len()).map_err(|_| too_large())?;
        about.extend(length.to_le_bytes());
        about.extend(0_u16.to_le_bytes());
        let start = size(self.bytes.len())?;
        for part in [&LOCAL.to_le_bytes()[..], &about, name.as_bytes(), &packed] {
            self.bytes.extend(part);
        }
        // No comment, the first disk, no attributes.
        let rest = [&[0_u8; 10][..], &start.to_le_bytes(), name.as_bytes()];
        for part in [&CENTRAL.to_le_bytes()[..], &VERSION.to_le_bytes(), &about].into_iter().chain(rest) {
            self.directory.extend(part);
        }
        self.files = self.files.checked_add(1).ok_or_else(too_large)?;
        Ok(())
    }

    /// The whole.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        // Each file was looked at before it was taken.
        let (start, length) = (self.bytes.len() as u64, self.directory.len() as u64);
        self.bytes.append(&mut self.directory);
        self.bytes.extend(END.to_le_bytes());
        self.bytes.extend([0; 4]);
        self.bytes.extend(self.files.to_le_bytes());
        self.bytes.extend(self.files.to_le_bytes());
        for word in [length, start] {
            self.bytes.extend(&word.to_le_bytes()[..4]);
        }
        self.bytes.extend([0; 2]);
        self.bytes
    }
}

fn size(bytes: usize) -> io::Result<u32> {
    // Half of what 32 bits hold leaves room for the directory.
    u32::try_from(bytes).ok().filter(|size| *size < 1 << 31).ok_or_else(too_large)
}

fn too_large() -> io::Error {
    io::Error::other("it is larger than a workbook can be; ask for csv or parquet")
}
