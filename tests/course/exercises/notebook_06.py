from polyp.course.exercises.notebook_06 import check_comparison, check_peak_step, check_train_step
from polyp.model.losses import bce_dice_loss, bce_loss, deep_supervision


def step(loss=bce_dice_loss, forget=True, move=True, told=lambda loss: loss.item()):
    def train_step(model, optimizer, image, target):
        found = deep_supervision(loss, model(image), target)
        if forget:
            optimizer.zero_grad()
        if move:
            found.backward()
            optimizer.step()
        return told(found)

    return train_step


def forget_last(model, optimizer, image, target):
    loss = step()(model, optimizer, image, target)
    optimizer.zero_grad()
    optimizer.step()
    return loss


def cleared_too_late(model, optimizer, image, target):
    loss = deep_supervision(bce_dice_loss, model(image), target)
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return loss.item()


WRONG = {
    check_peak_step: [
        ("put the number of the step into peak_step.", None),
        ("you give 'the 59th', expected peak_step to be a number", "the 59th"),
        ("60 is as high, but not the first", 60),
        ("61; 30 % of 200 steps is 60", 61),
        ("0.3; 30 % of 200 steps is 60", 0.3),
    ],
    check_train_step: [
        ("train_step returns None; let it take the step", step(told=lambda loss: None)),
        ("'NoneType' object is not callable", None),
        ("the first loss: you return", step(bce_loss)),
        ("the first loss: you return", lambda model, optimizer, image, target: 0.0),
        ("the first loss is right, the second: you return", step(move=False)),
        ("the weights have not moved; are backward() and optimizer.step() there?", cleared_too_late),
        ("are the gradients of the step before forgotten?", step(forget=False)),
        ("the loss is a tensor, which keeps the whole graph alive", step(told=lambda loss: loss)),
        ("your code stopped with AttributeError", step(told=lambda loss: loss.items())),
    ],
    check_comparison: [
        ("fill dice_of with the best validation Dice of two runs.", None),
        ("fill dice_of with the best validation Dice of two runs.", 0.8),
        ("you noted 1 of at least 2 results", {"none": 0.8}),
        ("the value of 'flips' is 81.2", {"none": 0.8, "flips": 81.2}),
        ("did anything change between them?", {"none": 0.8, "flips": 0.8}),
    ],
}
