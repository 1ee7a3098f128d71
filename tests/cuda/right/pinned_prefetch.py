import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
def main():
    torch.manual_seed(0)
    data = TensorDataset(torch.randn(256, 8), torch.randint(3, (256,)))
    loader = DataLoader(data, 32, shuffle=True, pin_memory=True, num_workers=2)
    net = nn.Sequential(nn.Linear(8, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 3)).cuda()
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    for epoch in range(2):
        net.train()
        total = torch.zeros((), device="cuda")
        for x, y in loader:
            x, y = x.cuda(non_blocking=True), y.cuda(non_blocking=True)
            loss = nn.functional.cross_entropy(net(x), y)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            total += loss.detach()
        net.eval()
        with torch.no_grad():
            right = (net(data.tensors[0].cuda()).argmax(1).cpu() == data.tensors[1]).float().mean()
        print(epoch, round(total.item() / 8, 1), right.item() > 0.3)
if __name__ == "__main__":
    main()
