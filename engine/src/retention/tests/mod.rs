mod life;
mod plan;
