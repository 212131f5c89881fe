//! Parameters between modules and the host, named and laid out as timm does.

use std::collections::BTreeMap;

use burn::{module::Module, tensor::TensorData};
use burn_store::{BurnToPyTorchAdapter, ModuleSnapshot, PyTorchToBurnAdapter, bridge};
use learngene_tensors::{Result, StateDict, Tensor};

/// Copies the parameters of a module to the host, in timm's names and layouts.
///
/// # Panics
/// Panics when the device fails to hand over a parameter.
pub fn state_dict<M: Module>(module: &M) -> StateDict {
    let snapshots = module.collect(None, Some(Box::new(BurnToPyTorchAdapter)), true);
    let tensors = snapshots.into_iter().map(|snapshot| {
        let name = snapshot.name.clone();
        let data = bridge::into_data(snapshot).expect("a live parameter can be read");
        let shape = data.shape().to_vec();
        let values = data.convert::<f32>().try_into_vec().expect("converted to f32 just before");
        (name, Tensor { shape, values })
    });
    tensors.collect()
}

/// Gives a module these parameters, in timm's names and layouts.
///
/// # Errors
/// Lists every parameter that is missing, unused or of another shape.
pub fn load_into<M: Module>(module: M, parameters: StateDict) -> Result<M> {
    parameters.check_against(&shapes(&module))?;
    Ok(assign(module, parameters))
}

/// Loads parameters whose names and shapes were checked into a module.
pub(crate) fn assign<M: Module>(mut module: M, parameters: StateDict) -> M {
    // One by one: each host copy is freed before the next tensor goes to the device.
    for (name, Tensor { shape, values }) in parameters {
        let tensor = bridge::from_data(TensorData::new(values, shape), name, None);
        let result = module.apply(vec![tensor], None, Some(Box::new(PyTorchToBurnAdapter)), true);
        assert!(
            result.errors.is_empty() && result.unused.is_empty(),
            "names and shapes were checked just before: {result}"
        );
    }
    module
}

/// Names and shapes of a module's parameters.
fn shapes<M: Module>(module: &M) -> BTreeMap<String, Vec<usize>> {
    let snapshots = module.collect(None, Some(Box::new(BurnToPyTorchAdapter)), true);
    snapshots.into_iter().map(|of| (of.name.clone(), of.shape.to_vec())).collect()
}
