"""`gan`, `resume` and `data`: bad input is one sentence, status 2, nothing left on disk."""

import pytest

OPTIONS = [
    ("--arm globl", "'globl'", "did you mean 'global'"),
    ("--sweep.arm zero globl", "'globl'", "did you mean 'global'"),
    ("--sweep.arm zero zero", "--sweep.arm names zero twice", "once"),
    ("--sweep.arm", "--sweep.arm is empty", "at least one"),
    ("--arm zero --sweep.arm zero fixed", "--arm and --sweep.arm exclude", "give one"),
    ("--dataset rng", "unknown data set 'rng'", "did you mean 'ring'"),
    ("--preset digit", "'digit'", "did you mean 'digits'"),
    ("--sigma-floor 2 --sigma-ceiling 1", "--sigma-floor 2", "not below --sigma-ceiling 1"),
    ("--sigma-floor 0", "--sigma-floor is 0.0", "between"),
    ("--sigma-start 20", "--sigma-start 20", "outside --sigma-floor"),
    ("--sweep.sigma-start .1 20", "--sigma-start 20", "outside --sigma-floor"),
    ("--sigma -1", "--sigma is -1.0", "between 0"),
    ("--sigma nan", "--sigma is nan", "finite"),
    ("--arm scheduled --sigma-last 0", "--sigma-schedule exponential", "above 0"),
    ("--arm low_rank --rank 65", "--rank is 65", "between 1 and 64"),
    ("--arm low_rank --rank 3 --dataset ring", "--rank is 3", "between 1 and 2"),
    ("--sigma-gradient bonnet_price", "bonnet_price has no meaning", "has kinks"),
    ("--sigma-gradient bonnet", "'bonnet'", "did you mean 'bonnet_price'"),
    ("--generator dcgan", "dcgan", "(8, 8)"),
    (
        "--generator linear --output sigmoid --dataset kmnist",
        "kmnist is not prepared",
        "data prepare",
    ),
    ("--dataset mnist", "mnist is not prepared", "sigmaprop data prepare mnist"),
    ("--simultaneous --discriminator-steps 2", "--discriminator-steps 2", "exclude each other"),
    ("--arm zero --entropy-weight .1", "--entropy-weight 0.1", "arm zero"),
    ("--arm fixed --sigma 0 --entropy-weight .1", "arm fixed with --sigma 0", "weight 0"),
    ("--entropy-burn-in -1", "--entropy-burn-in is -1", "between 0 and 1000"),
    ("--data.num 1", "digits has 1 train row", "a larger --data.num"),
    ("--deterministic --replica-chunk 4", "--replica-chunk 4 and --deterministic", "leave one out"),
    ("--data.logit .1 --data.symmetric", "logit=0.1", "choose one"),
    ("--dataset ring --data.resize 4", "resize=4 means nothing for ring", "leave it out"),
    ("--data.num 5000", "5000", "1197"),
    ("--steps 0", "--steps is 0", "between 1"),
    ("--seeds 0", "--seeds is 0", "between 1"),
    ("--batch-size 0", "--batch-size is 0", "between 1"),
    ("--learning-rate inf", "--learning-rate is inf", "finite"),
    ("--loss hing", "'hing'", "did you mean 'hinge'"),
    ("--gap-sigmas 0", "--gap-sigmas", "above 0"),
    ("--widths 0", "widths", "not 0"),
    ("--loss relativstic", "'relativstic'", "did you mean 'relativistic'"),
    ("--generator residual --widths 8 16", "widths is (8, 16)", "one number for each block"),
    ("--waves 1", "'mlp' has waves ()", "take the network 'residual'"),
    ("--b2-last 2", "--b2-last is 2.0", "between 0 and 1"),
    ("--learning-rate-fall .5", "--learning-rate-fall is 0.5", "between 1"),
    ("--instance-target 2", "--instance-target is 2.0", "between 0 and 1"),
    ("--instance-level unifrm", "'unifrm'", "did you mean 'uniform'"),
    ("--sigma-player discriminator", "--sigma-player discriminator", "--placement shared"),
    ("--latent-dim 5 --generator wu10 --dataset ring", "wu10", "latent_dim"),
]


@pytest.mark.parametrize(("options", "names", "remedy"), OPTIONS, ids=[o[0] for o in OPTIONS])
def test_one_sentence_and_nothing_on_disk(sigmaprop, tmp_path, options, names, remedy):
    ended = sigmaprop("gan", *options.split())
    assert ended.status == 2, ended.err
    assert ended.out == ""
    (line,) = ended.err.strip().splitlines()
    assert line.startswith("sigmaprop: ")
    assert names in line, line
    assert remedy in line, line
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "names", "remedy"),
    [
        ("resume nowhere", "nowhere", "no directory"),
        ("data prepare", "takes one data set, not 0", "data list"),
        ("data prepare mnist kmnist", "takes one data set, not 2", "data list"),
        ("data list mnist", "takes no further words", "leave them out"),
        ("data show", "'show'", "Known: list, prepare"),
    ],
)
def test_other_commands(sigmaprop, words, names, remedy):
    ended = sigmaprop(*words.split())
    assert ended.status == 2
    (line,) = ended.err.strip().splitlines()
    assert names in line
    assert remedy in line


def test_a_directory_in_which_nothing_began_is_reported_as_empty(sigmaprop, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "lock").touch()
    ended = sigmaprop("resume", "run")
    assert ended.status == 2
    (line,) = ended.err.strip().splitlines()
    assert "run is empty" in line
    assert "nothing to resume" in line
