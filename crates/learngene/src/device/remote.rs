//! Devices of other machines: connecting to one, and offering one.

use std::net::TcpListener;

use anyhow::anyhow;
use burn::{
    remote::RemoteHost,
    server::{RemoteServer, ServeError, WebSocketTransport},
    tensor::Device,
};

use super::{
    address::{Address, PATIENCE},
    watch,
};

/// Connects to the device at an address, and from then on ends the program when it is lost.
pub(super) fn connect(address: &Address) -> anyhow::Result<Device> {
    // burn tries for 16 seconds where nothing listens, and for ever where nothing answers.
    address.ask(PATIENCE).map_err(|reason| {
        anyhow!(
            "no answer from remote:{address}: {reason}; `learngene serve` offers a device of the \
             machine where it runs"
        )
    })?;
    watch::watch(address);
    Device::remote_options(&RemoteHost::websocket(&address.to_string()))
        .init()
        .map_err(|error| anyhow!("device remote:{address} cannot be opened: {error}"))
}

/// Offers a device to whoever connects, until the program is interrupted or terminated.
pub fn serve(device: Device, listener: TcpListener) -> Result<(), ServeError> {
    RemoteServer::new([device]).serve(WebSocketTransport::from_listener(listener))
}

#[cfg(test)]
mod tests {
    use std::thread;

    use burn::tensor::Tensor;

    use super::*;

    /// A device behind a server of its own, which lasts as long as the tests do.
    fn offer() -> Device {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = Address::from(listener.local_addr().expect("it is bound"));
        thread::spawn(move || serve(Device::flex(), listener));
        let host = RemoteHost::websocket(&address.to_string());
        Device::remote_options(&host).init().expect("it is offered")
    }

    /// As data-parallel training moves parameters to its workers, and their gradients back.
    #[cfg(feature = "flex")]
    #[test]
    fn tensors_and_gradients_go_from_device_to_device() {
        let here = Device::flex();
        for (keeper, worker) in [(here.clone(), offer()), (offer(), offer()), (offer(), here)] {
            let kept = Tensor::<1>::from_floats([1.0, 2.0, 3.0], &keeper);
            let moved = kept.clone().to_device(&worker).autodiff().require_grad();
            let gradients = (moved.clone() * moved.clone()).sum().backward();
            let gradient = moved.grad(&gradients).expect("it was asked for").to_device(&keeper);
            let found = (gradient + kept).into_data();
            assert_eq!(found.try_to_vec::<f32>().expect("f32"), [3.0, 6.0, 9.0]);
        }
    }
}
