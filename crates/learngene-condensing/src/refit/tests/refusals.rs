//! What cannot be fitted.

use super::*;

#[test]
fn images_that_cannot_be_had_are_refused() {
    for inputs in WAYS {
        let nothing = refusal(inputs, || images(0));
        assert_eq!(nothing, "there must be at least one image to look at, got none");
        let broken = refusal(inputs, || [Err(io::Error::other("torn"))]);
        assert_eq!(broken, "the probe images cannot be read");
        let blank = refusal(inputs, || {
            [Ok::<_, Infallible>(Tensor::ones([2, 3, SIDE, SIDE], &Device::flex()))]
        });
        assert!(blank.starts_with("the 2 probe images are nearly blank"), "{blank}");
    }
}

#[test]
fn images_that_are_no_numbers_are_refused() {
    for inputs in WAYS {
        let message = refusal(inputs, || {
            [Ok::<_, Infallible>(Tensor::full([2, 3, SIDE, SIDE], f32::NAN, &Device::flex()))]
        });
        assert_eq!(message, "layer 0 makes tokens that are not finite of the images");
    }
}

#[test]
fn other_images_the_next_time_are_refused() {
    let calls = Cell::new(0);
    let message = refusal(RefitInputs::Own, || {
        calls.set(calls.get() + 1);
        images(10 - calls.get())
    });
    assert_eq!(
        message,
        "the images were 9 the first time, but are 8 now; they must be the same ones"
    );
}

fn refused(
    edit: impl FnOnce(&mut Checkpoint, &mut Learngene),
    images_sha256: &str,
) -> ClusteringError {
    let mut ancestor = vit();
    let mut learngene = condensed(&ancestor, 10.0, Representative::Nearest);
    edit(&mut ancestor, &mut learngene);
    let params = params(RefitInputs::Ancestor, 0.0).check().expect("possible parameters");
    let images = || images(4);
    refit(&learngene, &ancestor, images, images_sha256, &params, &Device::flex())
        .expect_err("must be refused")
}

#[test]
fn learngenes_that_cannot_be_refitted_are_refused() {
    let twice = refused(
        |ancestor, learngene| {
            *learngene = refitted(ancestor, learngene, params(RefitInputs::Own, 0.0));
        },
        SHA256,
    );
    assert!(matches!(twice, ClusteringError::AlreadyRefitted), "{twice}");
    let other = refused(|ancestor, _| ancestor.sha256 = "e".repeat(64), SHA256);
    assert!(matches!(other, ClusteringError::Mismatch { what: "ancestor hash", .. }), "{other}");
    let lacking = refused(
        |ancestor, _| {
            ancestor.parameters.remove("norm.bias");
        },
        SHA256,
    );
    assert!(matches!(lacking, ClusteringError::Parameters(_)), "{lacking}");
    let unhashed = refused(|_, _| {}, "abc");
    assert!(matches!(unhashed, ClusteringError::Hash { .. }), "{unhashed}");
}

fn refusal<I, E>(inputs: RefitInputs, images: impl Fn() -> I) -> String
where
    I: IntoIterator<Item = Result<Tensor<4>, E>>,
    E: StdError + Send + Sync + 'static,
{
    let ancestor = vit();
    let learngene = condensed(&ancestor, 10.0, Representative::Nearest);
    let params = params(inputs, 0.0).check().expect("possible parameters");
    let device = Device::flex();
    let refused = refit_within(0, &learngene, &ancestor, images, SHA256, &params, &device);
    refused.expect_err("images that must be refused").to_string()
}
