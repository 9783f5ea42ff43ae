//! A model as bytes, and back.

use super::{Model, Sum};
use crate::surprise::Settings;
use crate::surprise::behaviour::{Behaviour, ascending};
use crate::surprise::clients::Clients;
use crate::surprise::settings::MOST_ROUTES;
use crate::surprise::table::Table;
use crate::wire::codec::{CodecError, Reader, Writer};

/// Layout of the bytes.
const LAYOUT: u8 = 2;

impl Model {
    /// Writes the model.
    pub fn encode(&self, writer: &mut Writer) {
        writer.u8(LAYOUT);
        writer.u32(self.epoch);
        self.clients.encode(writer);
        self.asked.encode(writer);
        self.all.encode(writer);
        for sum in &self.sums {
            writer.f64(sum.bits);
            writer.f64(sum.counted);
        }
        writer.u64(self.overflow);
        writer.length(self.routes.len());
        for (route, behaviour) in &self.routes {
            writer.u64(*route);
            behaviour.encode(writer);
        }
    }

    /// Reads a model, which goes on under these settings.
    ///
    /// # Errors
    /// When the bytes are not a model.
    pub fn decode(reader: &mut Reader<'_>, settings: Settings) -> Result<Self, CodecError> {
        let layout = reader.u8()?;
        if layout != LAYOUT {
            return Err(CodecError::Unknown {
                what: "layout of a surprise model",
                value: u64::from(layout),
            });
        }
        let mut model = Self::new(settings);
        model.epoch = reader.u32()?;
        model.clients = Clients::decode(reader)?;
        model.asked = Table::decode(reader, MOST_ROUTES)?;
        model.all = Behaviour::decode(reader)?;
        for sum in &mut model.sums {
            *sum = Sum {
                bits: reader.finite("sum of surprise")?,
                counted: reader.finite("sum of surprise")?,
            };
        }
        model.overflow = reader.u64()?;
        for _ in 0..reader.length(MOST_ROUTES)? {
            let route = reader.u64()?;
            ascending(model.routes.last().map(|item| item.0), route)?;
            model.routes.push((route, Behaviour::decode(reader)?));
        }
        model.count_tokens();
        Ok(model)
    }
}
